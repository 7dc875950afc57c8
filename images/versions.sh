# shellcheck shell=bash disable=SC2034
# The one place that says which version of what the lab is made of.

KUBERNETES_VERSION=1.36.4
# What this Kubernetes version's kubeadm asks for (cmd/kubeadm/app/constants).
ETCD_VERSION=3.6.8
ETCD_IMAGE_TAG=3.6.8-0
COREDNS_VERSION=1.14.2
PAUSE_VERSION=3.10.2

CONTAINERD_VERSION=2.2.1
# containerd's built-in default sandbox image is one behind kubeadm's: ship both tags.
CONTAINERD_PAUSE_VERSION=3.10.1
CNI_PLUGINS_VERSION=1.9.0
FLANNEL_VERSION=0.26.7
OPENTOFU_VERSION=1.12.6

DEBIAN_SUITE=bookworm
