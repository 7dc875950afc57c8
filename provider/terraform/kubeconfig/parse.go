package kubeconfig

import (
	"errors"

	"sigs.k8s.io/yaml"
)

// access is what a kubeconfig holds, in PEM.
type access struct {
	host, ca, certificate, key string
}

// document is the part of a kubeconfig (client-go's api/v1.Config) that an
// agent writes: one cluster, one user, everything inline. client-go itself
// would be most of the plugin's size.
type document struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

// errNotKubeconfig quotes nothing: the text is a secret.
var errNotKubeconfig = errors.New("reading the agent's kubeconfig: it does not hold one cluster and one user with inline certificates")

func parse(text []byte) (access, error) {
	var d document
	if err := yaml.Unmarshal(text, &d); err != nil || len(d.Clusters) != 1 || len(d.Users) != 1 {
		return access{}, errNotKubeconfig
	}
	out := access{host: d.Clusters[0].Cluster.Server, ca: string(d.Clusters[0].Cluster.CA),
		certificate: string(d.Users[0].User.Certificate), key: string(d.Users[0].User.Key)}
	if out.host == "" || out.ca == "" || out.certificate == "" || out.key == "" {
		return access{}, errNotKubeconfig
	}
	return out, nil
}
