resource "metal_facility" "lab" {
  name = "lab"

  networks = [{
    name          = "boot"
    cidr          = "172.30.0.0/24"
    gateway       = "172.30.0.1"
    dns           = ["172.30.0.1"]
    pool          = ["172.30.0.64/26", "172.30.0.200-172.30.0.209"]
    agent_address = "172.30.0.2"
  }]

  services = {
    installer = "/srv/metal/installer"
  }
}
