output "endpoint" {
  description = "The Kubernetes API server."
  value       = metal_cluster.management.endpoint
}

output "nodes" {
  description = "The cluster's nodes as its API server shows them."
  value       = metal_cluster.management.nodes
}

output "addresses" {
  description = "The hosts' addresses."
  value       = { for name, host in metal_host.node : name => host.addresses }
}
