package cluster

import (
	"encoding/base64"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

func tokenName(t kubeadm.Token) string { return "bootstrap-token-" + t.ID() }

// tokenSecret is the form of a bootstrap token in the cluster
// (https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/):
// the same token as before, because workers that are still on their way have it
// on their disks.
func tokenSecret(t kubeadm.Token, now time.Time) *unstructured.Unstructured {
	data := map[string]any{}
	for key, value := range map[string]string{
		"token-id":                       t.ID(),
		"token-secret":                   t.SecretHalf(),
		"expiration":                     now.Add(kubeadm.TokenTTL).UTC().Format(time.RFC3339),
		"usage-bootstrap-authentication": "true",
		"usage-bootstrap-signing":        "true",
		"auth-extra-groups":              "system:bootstrappers:kubeadm:default-node-token",
	} {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
		"metadata": map[string]any{"name": tokenName(t), "namespace": metav1.NamespaceSystem},
		"data":     data,
	}}
}

// expiry of a token's secret; one without never ends.
func expiry(secret *unstructured.Unstructured) (time.Time, error) {
	encoded, ok, err := unstructured.NestedString(secret.Object, "data", "expiration")
	if err != nil || !ok {
		return farFuture, nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the expiration of secret %q: %w", secret.GetName(), err)
	}
	at, err := time.Parse(time.RFC3339, string(raw))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the expiration of secret %q: %w", secret.GetName(), err)
	}
	return at, nil
}

var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
