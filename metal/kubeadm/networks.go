package kubeadm

import (
	"fmt"
	"net/netip"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// The defaults of a cluster's networks: flannel's and kubeadm's own.
const (
	DefaultPodCIDR     = "10.244.0.0/16"
	DefaultServiceCIDR = "10.96.0.0/12"
)

// nodeMask is the prefix length of the part of the pod network that each node
// gets (kube-controller-manager --node-cidr-mask-size-ipv4).
const nodeMask = 24

// HostNetwork is a network that hosts are in. Attribute says where it comes
// from, for messages.
type HostNetwork struct {
	Attribute string
	Prefix    netip.Prefix
}

// ValidateNetworks checks the pod and the service network for themselves and
// that they overlap neither each other nor a network that hosts are in. Errors
// are *fault.Error and name both attributes.
func ValidateNetworks(podCIDR, serviceCIDR string, hosts ...HostNetwork) error {
	pods, err := parseCIDR("pod_cidr", podCIDR)
	if err != nil {
		return err
	}
	services, err := parseCIDR("service_cidr", serviceCIDR)
	if err != nil {
		return err
	}
	// kubeadm hands out /24 per node and kube-controller-manager refuses more
	// than 16 bits of nodes.
	if pods.Bits() >= nodeMask || pods.Bits() < nodeMask-16 {
		return fault.Invalid("pod_cidr", "pod network has no room for nodes", podCIDR, fmt.Sprintf("a prefix length from /%d to /%d: each node gets a /%d", nodeMask-16, nodeMask-1, nodeMask))
	}
	// kube-apiserver: "--service-cluster-ip-range must have at most 20 host
	// bits"; kubeadm wants at least 10 addresses.
	if services.Bits() < 12 || services.Bits() > 28 {
		return fault.Invalid("service_cidr", "size of the service network", serviceCIDR, "a prefix length from /12 to /28")
	}
	if pods.Overlaps(services) {
		return overlap("pod_cidr", pods, "service_cidr", services)
	}
	for _, h := range hosts {
		if pods.Overlaps(h.Prefix) {
			return overlap("pod_cidr", pods, h.Attribute, h.Prefix.Masked())
		}
		if services.Overlaps(h.Prefix) {
			return overlap("service_cidr", services, h.Attribute, h.Prefix.Masked())
		}
	}
	return nil
}

func parseCIDR(attribute, s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, fault.Invalid(attribute, "not an IPv4 network", fmt.Sprintf("%q", s), `CIDR notation such as "10.244.0.0/16"`)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fault.Invalid(attribute, "network with host bits set", s, p.Masked().String())
	}
	return p, nil
}

func overlap(attributeA string, a netip.Prefix, attributeB string, b netip.Prefix) error {
	return fault.Invalid(attributeA, fmt.Sprintf("networks overlap: %s and %s", attributeA, attributeB),
		fmt.Sprintf("%s %s and %s %s", attributeA, a, attributeB, b), "networks without a common address")
}
