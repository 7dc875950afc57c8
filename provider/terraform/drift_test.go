package terraform

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	metalcluster "github.com/nanometal/terraform-provider-metal/metal/cluster"
	metalfacility "github.com/nanometal/terraform-provider-metal/metal/facility"
	metalhost "github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/cluster"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/facility"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/host"
)

// TestSchemasFollowTheLibrary holds the one definition that is written twice:
// every attribute of a library type is in the schema under its JSON name, with
// the same kind of value, and the schema has no others than those listed here.
func TestSchemasFollowTheLibrary(t *testing.T) {
	observed := []string{"id", "phase", "ready", "timeouts"}
	for _, c := range []struct {
		name    string
		schema  attr.Type
		library any
		renamed map[string]string
		own     []string // of the schema only
		hidden  []string // of the library only
	}{
		{"metal_facility", facility.Schema().Type(), metalfacility.Spec{}, nil, []string{"id", "agent", "version"}, nil},
		{"metal_host", host.Schema(t.Context()).Type(), metalhost.Spec{}, map[string]string{"timeouts": "phase_timeouts"},
			append([]string{"facility", "abandon_on_destroy", "hardware", "addresses", "state", "power"}, observed...), nil},
		{"metal_cluster", cluster.Schema(t.Context()).Type(), metalcluster.Spec{}, nil,
			append([]string{"facility", "expose_kubeconfig", "kubeconfig", "endpoint", "ca_certificate", "nodes"}, observed...), nil},
		{"metal_host.hardware", host.Schema(t.Context()).Attributes["hardware"].GetType(), order.Inventory{}, nil, nil,
			// What is on a disk is of the moment.
			[]string{"disks[].content", "disks[].mark"}},
		{"metal_cluster.nodes[]", element(t, cluster.Schema(t.Context()).Attributes["nodes"].GetType()), metalcluster.Node{}, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			compare(t, "", c.schema, reflect.TypeOf(c.library), c.renamed, c.own, c.hidden)
		})
	}
}

func element(t *testing.T, typ attr.Type) attr.Type {
	t.Helper()
	list, ok := typ.(types.ListType)
	if !ok {
		t.Fatalf("%s is not a list", typ)
	}
	return list.ElemType
}

func compare(t *testing.T, at string, schema attr.Type, library reflect.Type, renamed map[string]string, own, hidden []string) {
	t.Helper()
	for library.Kind() == reflect.Pointer {
		library = library.Elem()
	}
	switch library.Kind() {
	case reflect.Struct:
		compareObject(t, at, schema, library, renamed, own, hidden)
	case reflect.Slice:
		elements, ok := schema.(attr.TypeWithElementType)
		if !ok {
			t.Errorf("%s: the schema has %s, the library a list", at, schema)
			return
		}
		compare(t, at+"[]", elements.ElementType(), library.Elem(), nil, nil, hidden)
	case reflect.Map:
		elements, ok := schema.(types.MapType)
		if !ok {
			t.Errorf("%s: the schema has %s, the library a map", at, schema)
			return
		}
		compare(t, at+"{}", elements.ElemType, library.Elem(), nil, nil, hidden)
	case reflect.String:
		same(t, at, schema, types.StringType)
	case reflect.Bool:
		same(t, at, schema, types.BoolType)
	case reflect.Int, reflect.Int64:
		same(t, at, schema, types.Int64Type)
	default:
		t.Errorf("%s: the library has a %s, which no schema has", at, library)
	}
}

func same(t *testing.T, at string, got, want attr.Type) {
	t.Helper()
	if !got.Equal(want) {
		t.Errorf("%s: the schema has %s, want %s", at, got, want)
	}
}

func compareObject(t *testing.T, at string, schema attr.Type, library reflect.Type, renamed map[string]string, own, hidden []string) {
	t.Helper()
	object, ok := schema.(attr.TypeWithAttributeTypes)
	if !ok {
		t.Errorf("%s: the schema has %s, the library an object", at, schema)
		return
	}
	attributes := object.AttributeTypes()
	found := map[string]bool{}
	for field := range fields(library) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if other, ok := renamed[name]; ok {
			name = other
		}
		path := strings.TrimPrefix(at+"."+name, ".")
		if slices.Contains(hidden, path) {
			continue
		}
		found[name] = true
		typ, ok := attributes[name]
		if !ok {
			t.Errorf("the library's %s.%s (%q) is not in the schema", library, field.Name, path)
			continue
		}
		compare(t, path, typ, field.Type, nil, nil, hidden)
	}
	for name := range attributes {
		if !found[name] && !slices.Contains(own, name) {
			t.Errorf("the schema's %q is not in the library's %s", strings.TrimPrefix(at+"."+name, "."), library)
		}
	}
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
