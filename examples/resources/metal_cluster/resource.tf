resource "metal_cluster" "management" {
  facility           = "unix:///run/metal/agent.sock" # metal_facility.lab.id
  name               = "management"
  kubernetes_version = "v1.36.4"

  image = {
    url    = "https://images.example.org/node-v1.36.4.raw.zst"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  }

  control_plane = "node-1"             # metal_host.node1.name
  workers       = ["node-2", "node-3"] # change in place

  ssh_authorized_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINIdrzcXhEpYGvnU1MnQJ0bDfvzGq8rO2QkDJ3v4yQ0k admin@example.org"]

  timeouts = {
    create = "3h"
  }
}
