import {
  to = metal_facility.lab
  identity = {
    agent = "unix:///run/metal/agent.sock"
  }
}
