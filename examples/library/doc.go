// Command library makes a Kubernetes cluster of bare servers, and bare servers
// of it again, with nothing but the Go library: what metal_facility, metal_host
// and metal_cluster do for OpenTofu.
//
// Read it from bootstrap.go: it is the library's documentation by example.
package main
