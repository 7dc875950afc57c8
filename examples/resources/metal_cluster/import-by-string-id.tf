import {
  to = metal_cluster.management
  id = "unix:///run/metal/agent.sock#management"
}
