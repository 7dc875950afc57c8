import {
  to = metal_facility.lab
  id = "unix:///run/metal/agent.sock"
}
