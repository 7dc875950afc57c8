import {
  to = metal_host.node1
  identity = {
    facility = "unix:///run/metal/agent.sock"
    name     = "node-1"
  }
}
