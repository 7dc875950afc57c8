package kubeadm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// attributeConfig is the library's name of the user's documents, in errors.
const attributeConfig = "kubeadm_config"

const (
	maxConfigBytes = 256 << 10
	maxDepth       = 32
)

// UserConfig are the user's kubeadm documents by kind. A nil one has none.
type UserConfig struct {
	documents map[string]map[string]any
}

// apiOf is which kinds may be given, and their API version.
var apiOf = map[string]string{
	KindCluster: kubeadmAPI, KindInit: kubeadmAPI, KindJoin: kubeadmAPI,
	KindKubelet: kubeletAPI, KindProxy: proxyAPI,
}

// owned are the attributes that the cluster's own specification decides, and
// where to set them instead.
var owned = map[string]map[string]string{
	KindCluster: {
		"certificatesDir": "", "controlPlaneEndpoint": "control_plane", "kubernetesVersion": "kubernetes_version", "clusterName": "name",
		"networking.podSubnet": "pod_cidr", "networking.serviceSubnet": "service_cidr",
	},
	KindInit: {
		"bootstrapTokens": "", "localAPIEndpoint": "control_plane", "certificateKey": "", "nodeRegistration.name": "control_plane", "patches.directory": "kubeadm_patches",
	},
	KindJoin: {
		"discovery": "", "controlPlane": "control_plane", "nodeRegistration.name": "workers", "patches.directory": "kubeadm_patches",
	},
	KindKubelet: {"staticPodPath": ""},
}

// ParseUserConfig reads YAML documents of the kinds ClusterConfiguration,
// InitConfiguration, JoinConfiguration (kubeadm.k8s.io/v1beta4),
// KubeletConfiguration and KubeProxyConfiguration, each at most once. Other
// kinds and attributes that the cluster's specification decides are refused
// with a *fault.Error.
func ParseUserConfig(text string) (*UserConfig, error) {
	if len(text) > maxConfigBytes {
		return nil, fault.Invalid(attributeConfig, "kubeadm documents too large", fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d bytes", maxConfigBytes))
	}
	u := &UserConfig{documents: map[string]map[string]any{}}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for i := 1; ; i++ {
		raw, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return u, nil
		}
		if err != nil {
			return nil, fault.Invalid(attributeConfig, "kubeadm documents cannot be read", err.Error(), "YAML")
		}
		if err := u.add(i, raw); err != nil {
			return nil, err
		}
	}
}

func (u *UserConfig) add(number int, raw []byte) error {
	var doc map[string]any
	if err := yaml.UnmarshalStrict(raw, &doc); err != nil {
		return fault.Invalid(attributeConfig, fmt.Sprintf("kubeadm document %d cannot be read", number), err.Error(), "a YAML mapping")
	}
	if len(doc) == 0 {
		return nil
	}
	kind, _ := doc["kind"].(string)
	want, known := apiOf[kind]
	if !known {
		return fault.Invalid(attributeConfig, fmt.Sprintf("kubeadm document %d is of an unknown kind", number), fmt.Sprintf("kind %q", kind), "one of "+kinds())
	}
	if api, given := doc["apiVersion"]; given && api != want {
		return fault.Invalid(attributeConfig, kind+" has an API version that is not supported", fmt.Sprintf("apiVersion %q", api), want)
	}
	if u.has(kind) {
		return fault.Invalid(attributeConfig, kind+" is given twice", fmt.Sprintf("again as document %d", number), "one document of each kind")
	}
	if depth(doc) > maxDepth {
		return fault.Invalid(attributeConfig, kind+" is nested too deeply", fmt.Sprintf("more than %d levels", maxDepth), "fewer levels")
	}
	for _, path := range sortedKeys(owned[kind]) {
		if !touches(doc, strings.Split(path, ".")) {
			continue
		}
		expected := "left out: it is decided by this product"
		if instead := owned[kind][path]; instead != "" {
			expected = fmt.Sprintf("left out: it follows from the attribute %q", instead)
		}
		return fault.Invalid(attributeConfig, fmt.Sprintf("%s.%s must not be set", kind, path), "it is set", expected)
	}
	u.documents[kind] = doc
	return nil
}

func (u *UserConfig) has(kind string) bool {
	return u != nil && u.documents[kind] != nil
}

func (u *UserConfig) sets(kind string, path ...string) bool {
	if !u.has(kind) {
		return false
	}
	_, ok := lookup(u.documents[kind], path...)
	return ok
}

// merge gives our document as JSON values with the user's merged over it.
func (u *UserConfig) merge(kind string, ours any) (map[string]any, error) {
	raw, err := json.Marshal(ours)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", kind, err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", kind, err)
	}
	if u.has(kind) {
		mergeInto(out, u.documents[kind])
	}
	return out, nil
}

// mergeInto merges like JSON Merge Patch (RFC 7396): mappings merge, null
// removes, all else replaces. One exception: lists of arguments (v1beta4's
// extraArgs, kubeletExtraArgs: {name, value}) merge by name, as they did when
// they were mappings, so that adding one argument does not lose ours.
func mergeInto(dst, src map[string]any) {
	for key, value := range src {
		if value == nil {
			delete(dst, key)
			continue
		}
		switch v := value.(type) {
		case map[string]any:
			child, ok := dst[key].(map[string]any)
			if !ok {
				child = map[string]any{}
			}
			mergeInto(child, v)
			dst[key] = child
		case []any:
			if old, ok := dst[key].([]any); ok && strings.HasSuffix(strings.ToLower(key), "extraargs") {
				v = mergeArguments(old, v)
			}
			dst[key] = v
		default:
			dst[key] = value
		}
	}
}

// mergeArguments keeps those of ours whose name the user does not give.
// A name may be given several times by the user; all are kept.
func mergeArguments(ours, users []any) []any {
	given := map[any]bool{}
	for _, u := range users {
		if m, ok := u.(map[string]any); ok {
			given[fmt.Sprint(m["name"])] = true
		}
	}
	var out []any
	for _, o := range ours {
		if m, ok := o.(map[string]any); !ok || !given[fmt.Sprint(m["name"])] {
			out = append(out, o)
		}
	}
	return append(out, users...)
}

func lookup(doc map[string]any, path ...string) (any, bool) {
	var at any = doc
	for _, key := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = m[key]; !ok {
			return nil, false
		}
	}
	return at, true
}

// touches says whether merging doc changes what is at path: it sets it, or puts
// something other than a mapping (null removes) at one of its parents.
func touches(doc map[string]any, path []string) bool {
	value, set := doc[path[0]]
	if !set || len(path) == 1 {
		return set
	}
	child, ok := value.(map[string]any)
	return !ok || touches(child, path[1:])
}

func text(doc map[string]any, path ...string) (string, bool) {
	v, _ := lookup(doc, path...)
	s, ok := v.(string)
	return s, ok && s != ""
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			deepest = max(deepest, depth(child))
		}
	case []any:
		for _, child := range v {
			deepest = max(deepest, depth(child))
		}
	}
	return deepest + 1
}

func kinds() string { return strings.Join(sortedKeys(apiOf), ", ") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// socketPath takes the path out of a CRI endpoint, which may be a bare path.
func socketPath(endpoint string) string { return strings.TrimPrefix(endpoint, "unix://") }
