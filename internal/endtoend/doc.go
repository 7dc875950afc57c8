// Package endtoend holds the tests that walk the whole road on the lab: real
// firmware, kernels, kubeadm and OpenTofu, with kills and interrupts on the
// way. They need root, QEMU and the artefacts of images/, and are built with the
// tag "endtoend" only: `make test-lab`.
package endtoend
