# A rack of servers becomes a Kubernetes cluster. The variables come from the
# virtual lab (`make demo`); with real servers they come from you.

terraform {
  required_providers {
    metal = {
      source = "nanometal/metal"
    }
  }
}

# BMC credentials are named "lab" below and come from the environment:
# METAL_BMC_LAB_USERNAME and METAL_BMC_LAB_PASSWORD. They never enter state.
provider "metal" {}

resource "metal_facility" "rack" {
  name  = "demo"
  agent = var.agent

  networks = [{
    name          = "rack"
    cidr          = var.network.cidr
    gateway       = var.network.gateway
    agent_address = var.network.agent_address
    pool          = [var.network.pool]
  }]

  services = {
    installer = var.installer
  }
}

resource "metal_host" "node" {
  for_each = var.hosts

  facility = metal_facility.rack.id
  name     = each.key
  boot_mac = each.value.mac

  bmc = {
    url         = each.value.bmc_url
    fingerprint = each.value.bmc_fingerprint
    credentials = "lab"
  }

  root_device = {
    serial = each.value.disk_serial
  }
}

resource "metal_cluster" "management" {
  facility           = metal_facility.rack.id
  name               = "management"
  kubernetes_version = var.kubernetes_version

  image = {
    url    = var.image.url
    sha256 = var.image.sha256
  }

  control_plane = metal_host.node[local.names[0]].name
  workers       = [for name in slice(local.names, 1, length(local.names)) : metal_host.node[name].name]

  network_manifest = file(var.network_manifest)
  kubeadm_config   = file("${path.module}/kubeadm.yaml")
  kubeadm_patches  = { for f in fileset("${path.module}/patches", "*.yaml") : f => file("${path.module}/patches/${f}") }
}

locals {
  names = sort(keys(var.hosts))
}
