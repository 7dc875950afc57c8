package terraform

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// TestProviderSchemaIsValid lets the framework check all schemas as it does for
// OpenTofu, and holds what state needs: a version from the first day.
func TestProviderSchemaIsValid(t *testing.T) {
	server, err := providerserver.NewProtocol6WithError(New("1.2.3")())()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range schemas.Diagnostics {
		t.Errorf("%s: %s", d.Summary, d.Detail)
	}
	for _, name := range []string{"metal_facility", "metal_host", "metal_cluster"} {
		if schema := schemas.ResourceSchemas[name]; schema == nil || schema.Version != 0 || len(schema.Block.BlockTypes) != 0 {
			t.Errorf("%s: want a schema of version 0 with attributes only", name)
		}
	}
	if schemas.EphemeralResourceSchemas["metal_kubeconfig"] == nil {
		t.Error("metal_kubeconfig is missing")
	}
	identities, err := server.GetResourceIdentitySchemas(t.Context(), &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(identities.IdentitySchemas); n != 3 {
		t.Errorf("%d identity schemas, want one per resource", n)
	}
}
