package codec

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

type nested struct {
	Text string `json:"text"`
}

type sample struct {
	Text    string            `json:"text,omitempty"`
	Number  int64             `json:"number,omitempty"`
	Flag    *bool             `json:"flag,omitempty"`
	List    []string          `json:"list,omitempty"`
	Map     map[string]string `json:"map,omitempty"`
	Nested  *nested           `json:"nested,omitempty"`
	Objects []nested          `json:"objects,omitempty"`
}

var nestedType = types.ObjectType{AttrTypes: map[string]attr.Type{"text": types.StringType}}

var sampleType = types.ObjectType{AttrTypes: map[string]attr.Type{
	"text": types.StringType, "number": types.Int64Type, "flag": types.BoolType, "list": types.SetType{ElemType: types.StringType},
	"map": types.MapType{ElemType: types.StringType}, "nested": nestedType, "objects": types.ListType{ElemType: nestedType},
}}

func TestThereAndBack(t *testing.T) {
	flag := false
	for name, want := range map[string]sample{
		"nothing": {},
		"all": {Text: "ü", Number: math.MaxInt64, Flag: &flag, List: []string{"a", "b"}, Map: map[string]string{"k": "v"},
			Nested: &nested{"n"}, Objects: []nested{{"1"}, {"2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			value, err := Encode[types.Object](t.Context(), sampleType, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode[sample](t.Context(), value.Attributes())
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// FuzzThereAndBack keeps any text and number as it is.
func FuzzThereAndBack(f *testing.F) {
	f.Add("text", int64(-1), "key")
	f.Fuzz(func(t *testing.T, text string, number int64, key string) {
		// JSON text is UTF-8, as OpenTofu's is.
		var clean []string
		raw, err := json.Marshal([]string{text, key})
		if err == nil {
			err = json.Unmarshal(raw, &clean)
		}
		if err != nil {
			t.Fatal(err)
		}
		want := sample{Text: clean[0], Number: number, Map: map[string]string{clean[1]: clean[0]}}
		value, err := Encode[types.Object](t.Context(), sampleType, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode[sample](t.Context(), value.Attributes())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestUnknownIsLeftOut(t *testing.T) {
	got, err := Decode[sample](t.Context(), map[string]attr.Value{
		"text": types.StringUnknown(), "number": types.Int64Null(),
		"list": types.ListValueMust(types.StringType, []attr.Value{types.StringValue("a"), types.StringUnknown()}),
	})
	if err != nil || !reflect.DeepEqual(got, sample{List: []string{"a"}}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if Known(t.Context(), types.StringValue("a"), types.StringUnknown()) {
		t.Error("an unknown value is known")
	}
}

func TestMismatchesAreErrors(t *testing.T) {
	if _, err := Decode[host.Spec](t.Context(), map[string]attr.Value{"elsewhere": types.StringValue("x")}); err == nil {
		t.Error("an attribute that the library does not have was taken")
	}
	if _, err := Encode[types.Object](t.Context(), sampleType, map[string]any{"text": 7}); err == nil {
		t.Error("a number was taken for a text")
	}
	if _, err := Encode[types.List](t.Context(), sampleType, sample{}); err == nil {
		t.Error("an object was taken for a list")
	}
	if _, err := Encode[types.Object](t.Context(), sampleType, []string{}); err == nil {
		t.Error("a list was taken for an object")
	}
}
