# By the URL of its agent.
tofu import metal_facility.lab unix:///run/metal/agent.sock
