# By "<facility id>#<name>". The cluster is not touched.
tofu import metal_cluster.management 'unix:///run/metal/agent.sock#management'
