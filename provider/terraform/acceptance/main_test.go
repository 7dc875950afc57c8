package acceptance

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/nanometal/terraform-provider-metal/provider/terraform"
)

// pluginVariable makes this test binary the provider plugin: OpenTofu starts it
// as a process of its own, which a test can kill.
const pluginVariable = "METAL_ACCEPTANCE_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(pluginVariable) != "" {
		if err := terraform.Serve(context.Background(), "test", false); err != nil {
			fmt.Fprintln(os.Stderr, "serving the plugin:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// What plugin-testing has to know of OpenTofu (opentofu#977). The user's own
	// CLI configuration must not reach the tests, wherever it is set.
	for name, value := range map[string]string{"TF_ACC_PROVIDER_NAMESPACE": "nanometal", "TF_ACC_PROVIDER_HOST": "registry.opentofu.org",
		"TF_CLI_CONFIG_FILE": os.DevNull} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, "preparing the environment:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// tofu is the path of the real binary. Without one these tests fail: skipping
// them would look like passing them.
func tofu(t *testing.T) string {
	t.Helper()
	path := os.Getenv("TF_ACC_TERRAFORM_PATH")
	if path == "" {
		t.Fatal("no tofu binary: run `make test-acceptance`, or set TF_ACC_TERRAFORM_PATH=$(images/build --path opentofu)/tofu")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("TF_ACC_TERRAFORM_PATH: %v: `images/build opentofu` builds it", err)
	}
	return path
}

// inProcess is the provider for plugin-testing's own runs.
func inProcess() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"metal": providerserver.NewProtocol6WithError(terraform.New("test")()),
	}
}
