package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// config is the file of -config: the library's own types, which have JSON tags
// and Validate methods; the agent validates what it is given.
type config struct {
	Facility facility.Spec `json:"facility"`
	Hosts    []host.Spec   `json:"hosts"`
	Cluster  cluster.Spec  `json:"cluster"`

	// Long texts may be in files, relative to this one: they set the fields of Cluster.
	NetworkManifestFile string `json:"network_manifest_file,omitempty"`
	KubeadmConfigFile   string `json:"kubeadm_config_file,omitempty"`
}

func load(path string) (config, error) {
	var cfg config
	file, err := os.Open(path)
	if err != nil {
		return cfg, fmt.Errorf("opening the configuration: %w", err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields() // a typing error is no default
	if err := decoder.Decode(&cfg); err != nil {
		return cfg, fmt.Errorf("reading the configuration %q: %w", path, err)
	}
	dir := filepath.Dir(path)
	return cfg, errors.Join(
		readInto(&cfg.Cluster.NetworkManifest, dir, cfg.NetworkManifestFile),
		readInto(&cfg.Cluster.KubeadmConfig, dir, cfg.KubeadmConfigFile))
}

func readInto(field *string, dir, path string) error {
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a file of the configuration: %w", err)
	}
	*field = string(text)
	return nil
}

// credentials finds the BMC credentials that hosts name in the environment:
// "rack-1" is METAL_BMC_RACK_1_USERNAME and METAL_BMC_RACK_1_PASSWORD. The
// agent keeps them in memory only.
func credentials(hosts []host.Spec) (map[string]facility.Credentials, error) {
	known := map[string]facility.Credentials{}
	for _, h := range hosts {
		name := h.BMC.Credentials
		variable := "METAL_BMC_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		user, password := os.Getenv(variable+"_USERNAME"), os.Getenv(variable+"_PASSWORD")
		if user == "" || password == "" {
			return nil, fmt.Errorf("finding BMC credentials %q of host %q: set %s_USERNAME and %s_PASSWORD", name, h.Name, variable, variable)
		}
		known[name] = facility.Credentials{Username: user, Password: password}
	}
	return known, nil
}
