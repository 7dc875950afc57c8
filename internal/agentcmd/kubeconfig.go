package agentcmd

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

func kubeconfigCommand(version string, socket *string) *cobra.Command {
	var server string
	ttl := 8 * time.Hour
	cmd := &cobra.Command{
		Use: "kubeconfig CLUSTER", Short: "Print an administrator's kubeconfig for a cluster", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return explained(func(cmd *cobra.Command) (err error) {
				client, err := dial(cmd, *socket, version)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, client.Close()) }()
				raw, err := client.Kubeconfig(cmd.Context(), args[0], ttl)
				if err != nil {
					return err
				}
				if server != "" {
					if raw, err = through(raw, server); err != nil {
						return err
					}
				}
				_, err = cmd.OutOrStdout().Write(raw)
				return err
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "address of a forward to the API server, such as https://127.0.0.1:16443; its certificate is still verified for the cluster's own name")
	cmd.Flags().DurationVar(&ttl, "ttl", ttl, "how long the client certificate is valid")
	return cmd
}

// through makes the kubeconfig reach its server at another address without
// trusting that address: the certificate's name stays the server's own.
func through(raw []byte, server string) ([]byte, error) {
	var config map[string]any
	if err := yaml.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	entries, _ := config["clusters"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		cluster, ok := entry["cluster"].(map[string]any)
		if !ok {
			return nil, errors.New("the kubeconfig has a cluster entry without a cluster")
		}
		own, err := url.Parse(fmt.Sprint(cluster["server"]))
		if err != nil {
			return nil, fmt.Errorf("reading the kubeconfig's server: %w", err)
		}
		cluster["tls-server-name"] = own.Hostname()
		cluster["server"] = server
	}
	return yaml.Marshal(config)
}
