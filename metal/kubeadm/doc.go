// Package kubeadm makes documents, purely: the PKI of a cluster, kubeadm v1beta4 configuration, cloud-init user-data, and the checks on versions and networks. No I/O.
//
// It must not know hosts, API servers or files on disk.
package kubeadm
