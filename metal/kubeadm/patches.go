package kubeadm

import (
	"fmt"
	"regexp"

	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const (
	attributePatches = "kubeadm_patches"
	maxPatches       = 64
	maxPatchBytes    = 64 << 10
	// resolvPatch is the one that we make ourselves.
	resolvPatch = "kubeletconfiguration-metal-resolv+merge.json"
)

// patchName is what kubeadm reads (util/patches.parseFilename); it passes over
// other names with a warning that nobody sees, so they are refused here.
var patchName = regexp.MustCompile(`^(kube-apiserver|kube-controller-manager|kube-scheduler|etcd|kubeletconfiguration|corednsdeployment)[A-Za-z0-9_-]{0,64}(\+(strategic|merge|json))?\.(json|yaml)$`)

// ValidatePatches checks files for kubeadm's patches directory: their names and
// that they are YAML. Errors are *fault.Error.
func ValidatePatches(patches map[string]string) error {
	if len(patches) > maxPatches {
		return fault.Invalid(attributePatches, "too many kubeadm patches", fmt.Sprintf("%d files", len(patches)), fmt.Sprintf("at most %d", maxPatches))
	}
	for _, name := range sortedKeys(patches) {
		if !patchName.MatchString(name) || name == resolvPatch {
			return fault.Invalid(attributePatches, "not a name that kubeadm reads patches from", fmt.Sprintf("%q", name), `a name such as "kube-apiserver0+merge.yaml"`)
		}
		if len(patches[name]) > maxPatchBytes {
			return fault.Invalid(attributePatches, fmt.Sprintf("kubeadm patch %q is too large", name), fmt.Sprintf("%d bytes", len(patches[name])), fmt.Sprintf("at most %d bytes", maxPatchBytes))
		}
		var content any
		if err := yaml.Unmarshal([]byte(patches[name]), &content); err != nil {
			return fault.Invalid(attributePatches, fmt.Sprintf("kubeadm patch %q cannot be read", name), err.Error(), "YAML or JSON")
		}
		if content == nil {
			return fault.Invalid(attributePatches, fmt.Sprintf("kubeadm patch %q is empty", name), "nothing", "a patch")
		}
	}
	return nil
}
