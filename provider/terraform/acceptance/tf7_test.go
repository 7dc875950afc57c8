package acceptance

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"
)

// TestTF7SecretsStayOut gives secrets in every way there is, uses them, and then
// looks for them in every file that a run leaves behind: state, plan, trace
// log, event log.
func TestTF7SecretsStayOut(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	secrets := filepath.Join(filepath.Dir(g.dir), "secrets")
	must(t, os.MkdirAll(filepath.Join(secrets, "folder"), 0o700))
	must(t, os.WriteFile(filepath.Join(secrets, "file.json"), []byte(`{"username": "root", "password": "`+canaryFile+`"}`), 0o600))
	must(t, os.WriteFile(filepath.Join(secrets, "folder", "username"), []byte("root\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(secrets, "folder", "password"), []byte(canaryFile+"-2\n"), 0o600))
	g.env = append(g.env, "METAL_BMC_RACK_7_USERNAME=root", "METAL_BMC_RACK_7_PASSWORD="+canaryEnv, "TF_VAR_password="+canaryBlock, "TF_LOG=TRACE", "TF_LOG_PATH=trace.log")

	named := func(name, credentials string) string {
		return strings.Replace(hostHCL(name, ""), `"lab"`, `"`+credentials+`"`, 1)
	}
	config := providerHCL(`credentials_dir = "`+secrets+"\"\n  event_log = \"events.json\"") + g.facilityHCL() + hostHCL("node1", "") +
		named("node2", "file") + named("node3", "folder") + named("node4", "rack-7") + clusterHCL("node1", []string{"node2"}, "") +
		"ephemeral \"metal_kubeconfig\" \"admin\" {\n  facility = metal_cluster.c.facility\n  cluster = metal_cluster.c.name\n}\n"
	// A literal password is part of the configuration, which OpenTofu repeats in
	// its plan: whoever has secrets gives them as ephemeral variables.
	literal := `password = "` + canaryBlock + `"`
	if !strings.Contains(config, literal) {
		t.Fatal("the configuration has no literal password to replace")
	}
	g.write(strings.Replace(config, literal, "password = var.password", 1) + `variable "password" {
  type      = string
  sensitive = true
  ephemeral = true
}
`)
	g.ok("plan", "-input=false", "-out=plan.bin")
	must(t, os.WriteFile(filepath.Join(g.dir, "plan.json"), []byte(g.ok("show", "-json", "plan.bin")), 0o600))
	g.ok("apply", "-input=false", "plan.bin")
	g.ok("plan", "-input=false", "-out=plan2.bin")
	must(t, os.WriteFile(filepath.Join(g.dir, "plan2.json"), []byte(g.ok("show", "-json", "plan2.bin")), 0o600))
	g.wantEmptyPlan()

	for name, password := range map[string]string{"lab": canaryBlock, "file": canaryFile, "folder": canaryFile + "-2", "rack-7": canaryEnv} {
		if got := g.credentials[name]; got.Username != "root" || got.Password != password {
			t.Errorf("the agent was not given the right credentials %q", name)
		}
	}
	if g.times("management", "kubeconfig") == 0 {
		t.Error("the ephemeral kubeconfig was never made: the test shows nothing")
	}
	if files := g.wantNoSecrets(); files < 5 {
		t.Errorf("looked into %d files, want at least state, plans, log and events", files)
	}
}

// wantNoSecrets looks for the canaries in every file of the root module, and
// gives the number of files.
func (g *rig) wantNoSecrets() (files int) {
	g.t.Helper()
	must(g.t, filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "main.tf" {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, canary := range []string{canaryBlock, canaryFile, canaryEnv, canaryKey} {
			if strings.Contains(string(text), canary) {
				g.t.Errorf("%s holds the secret %s", entry.Name(), canary)
			}
		}
		return err
	}))
	return files
}

// TestTF7EphemeralKubeconfig looks at the values through a provider that echoes
// what it is configured with.
func TestTF7EphemeralKubeconfig(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	factories := inProcess()
	factories["echo"] = func() (tfprotov6.ProviderServer, error) { return echoprovider.NewProviderServer()() }
	at := func(attribute string) tfjsonpath.Path { return tfjsonpath.New("data").AtMapKey(attribute) }
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories,
		TerraformVersionChecks:   []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_10_0)},
		Steps: []resource.TestStep{{
			Config: g.rackHCL() + `
ephemeral "metal_kubeconfig" "admin" {
  facility = metal_cluster.c.facility
  cluster  = metal_cluster.c.name
  ttl      = "30m"
}
provider "echo" {
  data = {
    host = ephemeral.metal_kubeconfig.admin.host
    ca   = ephemeral.metal_kubeconfig.admin.cluster_ca_certificate
    cert = ephemeral.metal_kubeconfig.admin.client_certificate
    key  = ephemeral.metal_kubeconfig.admin.client_key
  }
}
resource "echo" "it" {}
`,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("echo.it", at("host"), knownvalue.StringExact("https://172.30.0.20:6443")),
				statecheck.ExpectKnownValue("echo.it", at("ca"), knownvalue.StringExact("CA")),
				statecheck.ExpectKnownValue("echo.it", at("cert"), knownvalue.StringExact("certificate")),
				statecheck.ExpectKnownValue("echo.it", at("key"), knownvalue.StringExact(canaryKey)),
			},
		}},
	})
}

// TestTF7KubeconfigInStateOnlyWhenAskedFor: expose_kubeconfig is a choice that
// can be taken back.
func TestTF7KubeconfigInStateOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	base := providerHCL("") + g.facilityHCL() + hostHCL("node1", "")
	g.write(base + clusterHCL("node1", nil, ""))
	g.ok(applyArgs...)
	has := func() bool {
		text, err := os.ReadFile(filepath.Join(g.dir, "terraform.tfstate"))
		must(t, err)
		return strings.Contains(string(text), "certificate-authority-data")
	}
	if has() {
		t.Error("the state holds a kubeconfig that nobody asked for")
	}
	g.write(base + clusterHCL("node1", nil, "expose_kubeconfig = true"))
	out := g.ok(applyArgs...)
	if !has() {
		t.Error("the state lacks the kubeconfig that was asked for")
	}
	if strings.Contains(out, "certificate-authority-data") {
		t.Error("the kubeconfig was shown")
	}
	g.wantEmptyPlan()
	g.write(base + clusterHCL("node1", nil, ""))
	g.ok(applyArgs...)
	if g.state()["metal_cluster.c"].Values["kubeconfig"] != nil {
		t.Error("the kubeconfig is still in the state")
	}
}
