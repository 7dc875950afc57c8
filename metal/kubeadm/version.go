package kubeadm

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Version is a full Kubernetes version.
type Version struct {
	Major, Minor, Patch uint64
	// Pre is the pre-release part without its dash: "rc.1".
	Pre string
}

// The first release whose kubeadm reads the v1beta4 documents that this package
// makes (https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/).
var oldest = Version{Major: 1, Minor: 31}

// maxKubeletSkew is how many minor versions a kubelet may be older than the API
// server (https://kubernetes.io/releases/version-skew-policy/#kubelet).
const maxKubeletSkew = 3

var versionPattern = regexp.MustCompile(`^v(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})(?:-([0-9A-Za-z.-]{1,64}))?$`)

// ParseVersion reads a full version such as "v1.36.4", the form that
// `kubeadm version -o short` prints. Shorter forms and labels are refused,
// because what they mean changes with time.
func ParseVersion(s string) (Version, error) {
	m := versionPattern.FindStringSubmatch(s)
	if m == nil {
		return Version{}, fmt.Errorf("parsing Kubernetes version %q: want a full version such as \"v1.36.4\"", s)
	}
	v := Version{Pre: m[4]}
	for i, field := range []*uint64{&v.Major, &v.Minor, &v.Patch} {
		n, err := strconv.ParseUint(m[i+1], 10, 32)
		if err != nil {
			return Version{}, fmt.Errorf("parsing Kubernetes version %q: %w", s, err)
		}
		*field = n
	}
	return v, nil
}

// String gives the form that ParseVersion reads.
func (v Version) String() string {
	s := fmt.Sprintf("v%d.%d.%d", v.Major, v.Minor, v.Patch)
	if v.Pre != "" {
		s += "-" + v.Pre
	}
	return s
}

// Compare gives -1, 0 or +1. A pre-release is older than its release; two
// pre-releases of one version compare as text.
func (v Version) Compare(w Version) int {
	for _, pair := range [][2]uint64{{v.Major, w.Major}, {v.Minor, w.Minor}, {v.Patch, w.Patch}} {
		if pair[0] != pair[1] {
			if pair[0] < pair[1] {
				return -1
			}
			return 1
		}
	}
	switch {
	case v.Pre == w.Pre:
		return 0
	case v.Pre == "":
		return 1
	case w.Pre == "":
		return -1
	}
	return strings.Compare(v.Pre, w.Pre)
}

// CheckVersion parses the value of the attribute and refuses versions whose
// kubeadm cannot read our documents. The error is a *fault.Error.
func CheckVersion(attribute, s string) (Version, error) {
	v, err := ParseVersion(s)
	if err != nil {
		return Version{}, fault.Invalid(attribute, "not a Kubernetes version", strconv.Quote(s), `a full version such as "v1.36.4"`)
	}
	if v.Major != 1 || v.Compare(oldest) < 0 {
		return Version{}, fault.Invalid(attribute, "Kubernetes version not supported", s, oldest.String()+" or newer: older kubeadm does not read kubeadm.k8s.io/v1beta4")
	}
	return v, nil
}

// CheckSkew refuses a node whose kubelet does not go with the API server: it
// may be up to three minor versions older and never newer.
func CheckSkew(apiServer, kubelet Version) error {
	switch {
	case apiServer.Major != kubelet.Major:
		return fmt.Errorf("checking the version skew: kubelet %s and API server %s differ in their major version", kubelet, apiServer)
	case kubelet.Minor > apiServer.Minor:
		return fmt.Errorf("checking the version skew: kubelet %s is newer than the API server %s", kubelet, apiServer)
	case apiServer.Minor-kubelet.Minor > maxKubeletSkew:
		return fmt.Errorf("checking the version skew: kubelet %s is more than %d minor versions older than the API server %s", kubelet, maxKubeletSkew, apiServer)
	}
	return nil
}
