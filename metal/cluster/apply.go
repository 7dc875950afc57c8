package cluster

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const (
	attributeManifest = "network_manifest"
	fieldManager      = "nanometal"
	maxManifestBytes  = 4 << 20
	maxManifestItems  = 1000
	// applyPatience is how long one object is tried: its kind's definition, its
	// namespace or a webhook may need a while.
	applyPatience = 2 * time.Minute
)

var errNoMapping = errors.New("the API server knows no such kind")

// parseManifest reads the documents of a manifest, lists unfolded, in the order
// in which they are applied: namespaces and definitions of kinds first.
func parseManifest(text string) ([]*unstructured.Unstructured, error) {
	if len(text) > maxManifestBytes {
		return nil, fault.Invalid(attributeManifest, "manifest too large", fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("at most %d bytes", maxManifestBytes))
	}
	var out []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for number := 1; ; number++ {
		raw, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Invalid(attributeManifest, "manifest cannot be read", err.Error(), "YAML")
		}
		objects, err := parseObjects(number, raw)
		if err != nil {
			return nil, err
		}
		if out = append(out, objects...); len(out) > maxManifestItems {
			return nil, fault.Invalid(attributeManifest, "manifest has too many objects", fmt.Sprintf("more than %d", maxManifestItems), "fewer")
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return rank(out[i]) < rank(out[j]) })
	return out, nil
}

func parseObjects(number int, raw []byte) ([]*unstructured.Unstructured, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fault.Invalid(attributeManifest, fmt.Sprintf("document %d of the manifest cannot be read", number), err.Error(), "a Kubernetes object")
	}
	if len(doc) == 0 {
		return nil, nil
	}
	object := &unstructured.Unstructured{Object: doc}
	if !object.IsList() {
		return []*unstructured.Unstructured{object}, complete(number, object)
	}
	var out []*unstructured.Unstructured
	for _, item := range objects(doc, "items") {
		o := &unstructured.Unstructured{Object: item}
		if err := complete(number, o); err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func complete(number int, o *unstructured.Unstructured) error {
	if o.GetAPIVersion() != "" && o.GetKind() != "" && o.GetName() != "" {
		return nil
	}
	return fault.Invalid(attributeManifest, fmt.Sprintf("document %d of the manifest is not a Kubernetes object", number),
		fmt.Sprintf("apiVersion %q, kind %q, name %q", o.GetAPIVersion(), o.GetKind(), o.GetName()), "all three")
}

func rank(o *unstructured.Unstructured) int {
	switch o.GroupVersionKind().GroupKind().String() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return 1
	}
	return 2
}

func manifestDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// apply is one server-side apply. Objects of a namespaced kind without a
// namespace go to "default", as with kubectl.
func (c *connection) apply(ctx context.Context, o *unstructured.Unstructured) error {
	kind := o.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		// It may have been defined since the API server was asked.
		c.mapper.Reset()
		return fmt.Errorf("applying %s %q: %w", kind.Kind, o.GetName(), errNoMapping)
	}
	if err != nil {
		return fmt.Errorf("asking the API server for kind %q: %w", kind.Kind, err)
	}
	var target dynamic.ResourceInterface = c.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := o.GetNamespace()
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		target = c.dynamic.Resource(mapping.Resource).Namespace(namespace)
	}
	if _, err := target.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
		return fmt.Errorf("applying %s %q: %w", kind.Kind, o.GetName(), err)
	}
	return nil
}

// applyPatiently tries again what may go away, for a bounded time.
func (c *connection) applyPatiently(ctx context.Context, o *unstructured.Unstructured, pause time.Duration) error {
	patience, cancel := context.WithTimeout(ctx, applyPatience)
	defer cancel()
	for {
		err := c.apply(patience, o)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-patience.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if permanent(err) || patience.Err() != nil {
			return &fault.Error{
				Class: fault.NeedsPerson, Attribute: attributeManifest, Phase: string(PhaseJoining),
				Summary: fmt.Sprintf("%s %q of the manifest was not accepted", o.GetKind(), o.GetName()), Seen: err.Error(), Err: err,
				Advice: "correct the manifest and apply again; nodes stay NotReady until the network plugin runs",
			}
		}
	}
}

// permanent errors are about the object itself.
func permanent(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err)
}
