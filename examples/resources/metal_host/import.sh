# By "<facility id>#<name>". The host's power is not touched.
tofu import metal_host.node1 'unix:///run/metal/agent.sock#node-1'
