// Package kubeadm makes documents, purely: the PKI of a cluster, kubeadm
// v1beta4 configuration, kubeconfigs, the NoCloud seed and the files of a
// node's first boot, and the checks on versions and networks. No I/O; time and
// randomness are given to it.
//
// It must not know hosts, API servers or files on disk.
package kubeadm
