resource "metal_host" "node1" {
  facility = "unix:///run/metal/agent.sock" # metal_facility.lab.id
  name     = "node-1"
  boot_mac = "52:54:00:12:34:56"

  bmc = {
    url         = "https://10.0.0.5"
    credentials = "rack"
    fingerprint = "9f:86:d0:81:88:4c:7d:65:9a:2f:ea:a0:c5:5a:d0:15:a3:bf:4f:1b:2b:0b:82:2c:d1:5d:6c:15:b0:f0:0a:08"
  }

  root_device = {
    serial = "S64GNG0T123456"
  }

  lifecycle {
    # Take this away to give the server back.
    prevent_destroy = true
  }
}
