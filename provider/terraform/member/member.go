// Package member is what metal_host and metal_cluster have in common: each is
// known by its facility and its name there, imported by them, and worked on in
// the same way.
//
// It must not know what either is.
package member

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Renamed are the library's names of attributes that both schemas call
// otherwise: an agent is known by its facility's id.
var Renamed = map[string]string{"agent": "facility"}

// What is left after a failure, for diagnostics.
const (
	NotBegun  = "Nothing was begun, and nothing is kept in the state."
	Continues = "The next apply continues in place."
)

// Identity is what names a member for import.
type Identity struct {
	Facility types.String `tfsdk:"facility"`
	Name     types.String `tfsdk:"name"`
}

// IdentitySchema describes Identity; kind is "host" or "cluster".
func IdentitySchema(kind string) identityschema.Schema {
	return identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"facility": identityschema.StringAttribute{RequiredForImport: true, Description: "The id of the metal_facility."},
		"name":     identityschema.StringAttribute{RequiredForImport: true, Description: fmt.Sprintf("The %s's name.", kind)},
	}}
}

// Import begins an import by "<facility id>#<name>" or by identity: it sets the
// attributes facility and name, which Read completes.
func Import(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var id Identity
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &id)...)
		if resp.Diagnostics.HasError() {
			return
		}
	} else {
		facility, name, err := ParseID(req.ID)
		if err != nil {
			resp.Diagnostics.AddError("The import id is not valid", err.Error())
			return
		}
		id = Identity{Facility: types.StringValue(facility), Name: types.StringValue(name)}
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("facility"), id.Facility)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), id.Name)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, id)...)
}

// ID is the string that names a member.
func ID(facility, name string) string { return facility + "#" + name }

var errImportID = errors.New(`want "<facility id>#<name>", such as "embedded:.metal#node-1"`)

// ParseID is the inverse of ID. A facility's URL may hold '#', a name can't.
func ParseID(id string) (facility, name string, err error) {
	i := strings.LastIndexByte(id, '#')
	if i < 1 || i == len(id)-1 {
		return "", "", fmt.Errorf("reading import id %q: %w", id, errImportID)
	}
	return id[:i], id[i+1:], nil
}

// Optional is null for the empty string.
func Optional(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// Sentence begins with a capital letter.
func Sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
