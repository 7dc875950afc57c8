// Package facility is one site: its networks and address pools, its boot
// services, its hosts and clusters, behind one type, with a durable store that
// is a cache and a work journal (what is wanted lives with the front end).
//
// It wires bmc, host, netboot, ipam, image, kubeadm and cluster together. It
// must not know how it is reached (package agent) or which front end asks.
package facility
