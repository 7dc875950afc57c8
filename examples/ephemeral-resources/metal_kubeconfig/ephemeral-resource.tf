ephemeral "metal_kubeconfig" "admin" {
  facility = "unix:///run/metal/agent.sock" # metal_facility.lab.id
  cluster  = "management"                   # metal_cluster.management.name
  ttl      = "30m"
}

# provider "kubernetes" {
#   host                   = ephemeral.metal_kubeconfig.admin.host
#   cluster_ca_certificate = ephemeral.metal_kubeconfig.admin.cluster_ca_certificate
#   client_certificate     = ephemeral.metal_kubeconfig.admin.client_certificate
#   client_key             = ephemeral.metal_kubeconfig.admin.client_key
# }
