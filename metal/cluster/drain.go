package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// remove takes workers out of the cluster and gives their hosts back. All are
// cordoned first, so that the pods of one don't move to the next.
func (r *run) remove(ctx context.Context, names []string) error {
	api, err := r.api()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := api.cordon(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := r.drain(ctx, api, name); err != nil {
			return err
		}
		if err := api.dynamic.Resource(nodesGVR).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting node %q: %w", name, err)
		}
		if err := r.giveBackOne(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// cordon keeps new pods away; a node that is gone needs nothing.
func (c *connection) cordon(ctx context.Context, name string) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"unschedulable": true}})
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	_, err = c.dynamic.Resource(nodesGVR).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cordoning node %q: %w", name, err)
	}
	return nil
}

// drain evicts the pods of a node and waits until they are gone. A node that
// does not answer cannot end its pods: they are left to the cluster, which
// forgets them with the node.
func (r *run) drain(ctx context.Context, api *connection, name string) error {
	patience, cancel := context.WithTimeout(ctx, r.DrainTimeout)
	defer cancel()
	var left []string
	for {
		now, err := api.drainOnce(patience, name)
		if err == nil && len(now) == 0 {
			return nil
		}
		if err == nil {
			left = now
		}
		timer := time.NewTimer(r.Poll)
		select {
		case <-timer.C:
			timer.Stop()
		case <-patience.Done():
			timer.Stop()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return drainFault(name, left, err, r.DrainTimeout)
		}
	}
}

func drainFault(name string, left []string, err error, after time.Duration) error {
	f := &fault.Error{
		Class: fault.NeedsPerson, Subject: fmt.Sprintf("node %q", name), Attribute: "workers", Phase: string(PhaseReady),
		Summary: fmt.Sprintf("node could not be drained within %v", after), Evidence: bound(left),
		Expected: "all pods evicted, but for those of DaemonSets",
		Advice:   "the node is cordoned and nothing else was changed: find what holds its pods (disruption budgets, finalizers), then apply again",
	}
	if len(left) > 0 {
		f.Seen = fmt.Sprintf("%d pods are left", len(left))
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		f.Seen, f.Err = strings.TrimPrefix(f.Seen+": "+err.Error(), ": "), err
	}
	return f
}

// drainOnce asks for the eviction of all pods that are still there and names them.
func (c *connection) drainOnce(ctx context.Context, name string) ([]string, error) {
	node, err := c.dynamic.Resource(nodesGVR).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at node %q: %w", name, err)
	}
	if !condition(*node, "Ready") {
		return nil, nil
	}
	pods, err := c.list(ctx, podsGVR, "", metav1.ListOptions{FieldSelector: "spec.nodeName=" + name})
	if err != nil {
		return nil, err
	}
	var left []string
	for _, pod := range pods {
		if stays(pod) {
			continue
		}
		where := pod.GetNamespace() + "/" + pod.GetName()
		if why := c.evict(ctx, pod); why != nil {
			where += ": " + why.Error()
		}
		left = append(left, where)
	}
	return left, nil
}

func (c *connection) evict(ctx context.Context, pod unstructured.Unstructured) error {
	if pod.GetDeletionTimestamp() != nil {
		return nil
	}
	eviction := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "policy/v1", "kind": "Eviction",
		"metadata": map[string]any{"name": pod.GetName(), "namespace": pod.GetNamespace()},
	}}
	_, err := c.dynamic.Resource(podsGVR).Namespace(pod.GetNamespace()).Create(ctx, eviction, metav1.CreateOptions{}, "eviction")
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// stays says that a pod needs no eviction: it has ended, or it is the node's own
// (a DaemonSet's, or the mirror of a static one).
func stays(pod unstructured.Unstructured) bool {
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	if phase == "Succeeded" || phase == "Failed" {
		return true
	}
	if _, mirror := pod.GetAnnotations()["kubernetes.io/config.mirror"]; mirror {
		return true
	}
	owner := metav1.GetControllerOfNoCopy(&pod)
	return owner != nil && owner.Kind == "DaemonSet"
}
