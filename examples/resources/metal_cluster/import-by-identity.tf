import {
  to = metal_cluster.management
  identity = {
    facility = "unix:///run/metal/agent.sock"
    name     = "management"
  }
}
