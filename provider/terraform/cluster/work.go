package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
)

// work is one run of ApplyCluster, of Create or of Update.
type work struct {
	pool    *connection.Pool
	model   *Model
	state   *tfsdk.State
	timeout time.Duration
	// which timeout it is: "create", "update".
	which string

	// status is the last that was seen.
	status cluster.Status
	// accepted: the agent has taken the cluster, so something may have been changed.
	accepted bool
}

// run applies the cluster and waits for the end. The state is saved after each
// change of phase, so that nothing but the last step is ever unknown.
func (w *work) run(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	err := w.apply(bounded)
	if err == nil && w.status.Failure != nil {
		return w.status.Failure
	}
	return operation.Explain(err, w.model.subject(), w.which, w.timeout, string(w.status.Phase))
}

func (w *work) apply(ctx context.Context) error {
	spec, err := w.model.spec(ctx)
	if err != nil {
		return err
	}
	client, err := w.pool.Agent(ctx, w.model.Facility.ValueString())
	if err != nil {
		return err
	}
	// Observing makes an unknown kubeconfig null.
	exposed := w.model.Kubeconfig.IsUnknown() && w.model.ExposeKubeconfig.ValueBool()
	show := w.pool.Progress.Cluster(ctx)
	job := operation.Job[cluster.Status]{
		Apply: func(ctx context.Context) (cluster.Status, error) { return client.ApplyCluster(ctx, spec) },
		Await: func(ctx context.Context, after uint64, over func(cluster.Status) bool) (cluster.Status, error) {
			return client.AwaitCluster(ctx, spec.Name, after, over)
		},
		Look:     func(ctx context.Context) (cluster.Status, error) { return client.Cluster(ctx, spec.Name, false) },
		Revision: func(s cluster.Status) uint64 { return s.Revision },
		See: func(ctx context.Context, s cluster.Status) {
			show(s)
			w.see(ctx, s)
		},
		Over: func(s cluster.Status) bool { return settled(s) || failed(s) },
	}
	if w.accepted, err = job.Run(ctx); err != nil || w.status.Failure != nil || !exposed {
		return err
	}
	return w.expose(ctx, client)
}

func (w *work) expose(ctx context.Context, client connection.Clusters) error {
	text, err := client.Kubeconfig(ctx, w.model.Name.ValueString(), exposedTTL)
	if err != nil {
		return fmt.Errorf("making the kubeconfig of %s: %w", w.model.subject(), err)
	}
	w.model.Kubeconfig = types.StringValue(string(text))
	return nil
}

// see saves what is known. It only fails on a schema that disagrees with the
// model, which the caller's own save then reports.
func (w *work) see(ctx context.Context, s cluster.Status) {
	changed := s.Phase != w.status.Phase || s.Busy != w.status.Busy
	w.status = s
	if changed {
		var repeated diag.Diagnostics
		w.save(ctx, &repeated)
	}
}

// save writes the model with the last status to the state.
func (w *work) save(ctx context.Context, diags *diag.Diagnostics) {
	if err := w.model.observe(ctx, w.status); err != nil {
		diags.AddError("The cluster's status could not be translated", err.Error())
		return
	}
	diags.Append(w.state.Set(ctx, w.model)...)
}
