package agent

import (
	"fmt"
	"net/http"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
)

func (h *Handler) listClusters(w http.ResponseWriter, r *http.Request) {
	clusters, err := h.engines.Clusters.Clusters(r.Context())
	if err != nil {
		h.refuse(w, "clusters", err)
		return
	}
	if clusters == nil {
		clusters = []cluster.Status{}
	}
	h.answer(w, http.StatusOK, clusters)
}

func (h *Handler) getCluster(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	look, err := h.parseLook(r)
	var status cluster.Status
	if err == nil {
		if look.wait > 0 {
			ctx, cancel := h.polling(r, look.wait)
			defer cancel()
			status, err = h.engines.Clusters.WaitCluster(ctx, name, look.after)
		} else {
			status, err = h.engines.Clusters.Cluster(r.Context(), name, look.refresh)
		}
	}
	h.clusterAnswer(w, http.StatusOK, name, status, err)
}

func (h *Handler) applyCluster(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	var spec cluster.Spec
	err := onlyQuery(r)
	if err == nil {
		err = decode(w, r, maxClusterBody, &spec)
	}
	if err == nil {
		err = bodyName(name, spec.Name)
	}
	var status cluster.Status
	if err == nil {
		status, err = h.engines.Clusters.ApplyCluster(lasting(r), spec)
	}
	h.clusterAnswer(w, http.StatusOK, name, status, err)
}

func (h *Handler) deleteCluster(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := onlyQuery(r)
	var status cluster.Status
	if err == nil {
		status, err = h.engines.Clusters.DeleteCluster(lasting(r), name)
	}
	h.clusterAnswer(w, http.StatusAccepted, name, status, err)
}

// kubeconfig is a secret made for this one answer.
func (h *Handler) kubeconfig(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	ttl, err := parseTTL(r)
	var text []byte
	if err == nil {
		text, err = h.engines.Clusters.Kubeconfig(r.Context(), name, ttl)
	}
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		h.refuse(w, subject("cluster", name), err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	if _, err := w.Write(text); err != nil {
		h.logger.Debug("client went away during an answer", "error", err)
	}
}

func parseTTL(r *http.Request) (time.Duration, error) {
	if err := onlyQuery(r, "ttl"); err != nil {
		return 0, err
	}
	text := r.URL.Query().Get("ttl")
	if text == "" {
		return defaultTTL, nil
	}
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl <= 0 || ttl > maxTTL {
		return 0, badRequest("ttl", "not a usable time to live", clip(text, 80), fmt.Sprintf("a duration such as 1h, above 0 and at most %s", maxTTL))
	}
	return ttl, nil
}

func (h *Handler) clusterAnswer(w http.ResponseWriter, code int, name string, status cluster.Status, err error) {
	if err != nil {
		h.refuse(w, subject("cluster", name), err)
		return
	}
	h.answer(w, code, status)
}
