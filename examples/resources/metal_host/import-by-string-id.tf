import {
  to = metal_host.node1
  id = "unix:///run/metal/agent.sock#node-1"
}
