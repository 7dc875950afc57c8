// Package cluster owns the life of a kubeadm Kubernetes cluster on hosts:
// bootstrap, joining, the network plugin, the admin kubeconfig, teardown.
//
// It reaches hosts and its own records only through the interfaces it declares,
// and the new cluster through its API server. It must not know BMCs, DHCP or
// OpenTofu.
package cluster
