// Package codec translates between OpenTofu's values and the library's types,
// by way of the library's JSON form: the schema's attribute names are the JSON
// names, which a test in package terraform holds.
//
// It knows neither resources nor agents.
package codec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Decode makes a T of attributes. Null and unknown attributes are left out, so
// that they become zero values.
func Decode[T any](ctx context.Context, attributes map[string]attr.Value) (T, error) {
	var out T
	document := make(map[string]any, len(attributes))
	for name, value := range attributes {
		raw, err := value.ToTerraformValue(ctx)
		if err != nil {
			return out, fmt.Errorf("reading attribute %q: %w", name, err)
		}
		plain, err := toPlain(raw)
		if err != nil {
			return out, fmt.Errorf("reading attribute %q: %w", name, err)
		}
		if plain != nil {
			document[name] = plain
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		return out, fmt.Errorf("rendering attributes for %T: %w", out, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&out); err != nil {
		return out, fmt.Errorf("reading attributes as %T: %w", out, err)
	}
	return out, nil
}

func toPlain(v tftypes.Value) (any, error) {
	if v.IsNull() || !v.IsKnown() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		n := new(big.Float)
		err := v.As(&n)
		return json.Number(n.Text('f', -1)), err
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		return toPlainObject(v)
	default:
		return toPlainList(v)
	}
}

func toPlainObject(v tftypes.Value) (any, error) {
	var members map[string]tftypes.Value
	if err := v.As(&members); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(members))
	for name, member := range members {
		plain, err := toPlain(member)
		if err != nil {
			return nil, fmt.Errorf("member %q: %w", name, err)
		}
		if plain != nil {
			out[name] = plain
		}
	}
	return out, nil
}

// Known tells whether nothing in the values is unknown.
func Known(ctx context.Context, values ...attr.Value) bool {
	for _, value := range values {
		raw, err := value.ToTerraformValue(ctx)
		if err != nil || !raw.IsFullyKnown() {
			return false
		}
	}
	return true
}

func toPlainList(v tftypes.Value) (any, error) {
	var elements []tftypes.Value
	if err := v.As(&elements); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(elements))
	for i, element := range elements {
		plain, err := toPlain(element)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		if plain != nil {
			out = append(out, plain)
		}
	}
	return out, nil
}

// Encode makes a value of type t from the JSON form of v. What v leaves out is
// null, what t does not have is dropped: a schema may show less than the
// library knows.
func Encode[V attr.Value](ctx context.Context, t attr.Type, v any) (V, error) {
	var zero V
	text, err := json.Marshal(v)
	if err != nil {
		return zero, fmt.Errorf("rendering %T: %w", v, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return zero, fmt.Errorf("reading back %T: %w", v, err)
	}
	raw, err := fromPlain(t.TerraformType(ctx), plain)
	if err != nil {
		return zero, fmt.Errorf("translating %T: %w", v, err)
	}
	value, err := t.ValueFromTerraform(ctx, raw)
	if err != nil {
		return zero, fmt.Errorf("translating %T: %w", v, err)
	}
	typed, ok := value.(V)
	if !ok {
		return zero, fmt.Errorf("translating %T: type %s holds %T, want %T", v, t, value, zero)
	}
	return typed, nil
}

func fromPlain(t tftypes.Type, plain any) (tftypes.Value, error) {
	if plain == nil {
		return tftypes.NewValue(t, nil), nil
	}
	switch typed := t.(type) {
	case tftypes.Object:
		return fromPlainObject(typed, plain)
	case tftypes.Map:
		return fromPlainMap(typed, plain)
	case tftypes.List:
		return fromPlainList(t, typed.ElementType, plain)
	case tftypes.Set:
		return fromPlainList(t, typed.ElementType, plain)
	}
	if number, ok := plain.(json.Number); ok && t.Is(tftypes.Number) {
		exact, ok := new(big.Float).SetString(number.String())
		if !ok {
			return tftypes.Value{}, fmt.Errorf("%q is not a number", number)
		}
		plain = exact
	}
	if err := tftypes.ValidateValue(t, plain); err != nil {
		return tftypes.Value{}, err
	}
	return tftypes.NewValue(t, plain), nil
}

func fromPlainObject(t tftypes.Object, plain any) (tftypes.Value, error) {
	members, ok := plain.(map[string]any)
	if !ok {
		return tftypes.Value{}, fmt.Errorf("%T is not an object", plain)
	}
	out := make(map[string]tftypes.Value, len(t.AttributeTypes))
	for name, memberType := range t.AttributeTypes {
		value, err := fromPlain(memberType, members[name])
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("member %q: %w", name, err)
		}
		out[name] = value
	}
	return tftypes.NewValue(t, out), nil
}

func fromPlainMap(t tftypes.Map, plain any) (tftypes.Value, error) {
	members, ok := plain.(map[string]any)
	if !ok {
		return tftypes.Value{}, fmt.Errorf("%T is not a map", plain)
	}
	out := make(map[string]tftypes.Value, len(members))
	for name, member := range members {
		value, err := fromPlain(t.ElementType, member)
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("member %q: %w", name, err)
		}
		out[name] = value
	}
	return tftypes.NewValue(t, out), nil
}

func fromPlainList(t, elementType tftypes.Type, plain any) (tftypes.Value, error) {
	elements, ok := plain.([]any)
	if !ok {
		return tftypes.Value{}, fmt.Errorf("%T is not a list", plain)
	}
	out := make([]tftypes.Value, 0, len(elements))
	for i, element := range elements {
		value, err := fromPlain(elementType, element)
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("element %d: %w", i, err)
		}
		out = append(out, value)
	}
	return tftypes.NewValue(t, out), nil
}
