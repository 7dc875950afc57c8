// Package progress shows how far long work has come: as log lines of the
// subsystem "metal" and, when the provider is given an event_log, as JSON
// lines of package event appended to that file. OpenTofu itself shows nothing
// but "Still creating...".
//
// It knows statuses of the library, not agents or resources.
package progress

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// subsystem names these lines among the provider's others.
const subsystem = "engine"

// Log takes events. The zero value writes log lines only.
type Log struct {
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	mu   sync.Mutex
	file *os.File
}

// Open gives a Log that also appends to the file at path, which is made with
// mode 0600 when missing. An empty path is the zero Log.
func Open(path string) (*Log, error) {
	if path == "" {
		return &Log{}, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening event log: %w", err)
	}
	return &Log{file: file}, nil
}

// Context prepares ctx for Emit.
func Context(ctx context.Context) context.Context {
	return tflog.NewSubsystem(ctx, subsystem)
}

// Emit shows e. A file that can't be written is reported in the log: it must
// not fail the work that it tells of.
func (l *Log) Emit(ctx context.Context, e event.Event) {
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	fields := map[string]any{"kind": e.Kind, "name": e.Name, "phase": e.Phase}
	if e.Total > 0 {
		fields["done"], fields["total"] = e.Done, e.Total
	}
	tflog.SubsystemInfo(ctx, subsystem, e.Message, fields)
	if err := l.append(e); err != nil {
		tflog.SubsystemWarn(ctx, subsystem, "appending to event log: "+err.Error())
	}
}

func (l *Log) append(e event.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	// One write per line: O_APPEND keeps lines of several processes whole.
	_, err = l.file.Write(append(line, '\n'))
	return err
}

// Close closes the file, if there is one.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func (l *Log) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// Host gives a function that takes each new status of one host and emits what
// is worth a line: a change of phase or state, and every tenth of an image.
func (l *Log) Host(ctx context.Context) func(host.Status) {
	var last event.Event
	return func(s host.Status) {
		e := event.Event{Kind: "host", Name: s.Name, Phase: string(s.Phase), Message: hostMessage(s)}
		if s.Progress != nil {
			e.Done, e.Total = s.Progress.Done, s.Progress.Total
		}
		if !sameStep(last, e) {
			l.Emit(ctx, e)
			last = e
		}
	}
}

// Cluster is Host for a cluster.
func (l *Log) Cluster(ctx context.Context) func(cluster.Status) {
	var last event.Event
	return func(s cluster.Status) {
		ready := 0
		for _, node := range s.Nodes {
			if node.Ready {
				ready++
			}
		}
		e := event.Event{Kind: "cluster", Name: s.Name, Phase: string(s.Phase),
			Message: fmt.Sprintf("cluster %q: %s, %d of %d known nodes ready", s.Name, s.Phase, ready, len(s.Nodes))}
		if !sameStep(last, e) {
			l.Emit(ctx, e)
			last = e
		}
	}
}

func hostMessage(s host.Status) string {
	switch {
	case s.Failure != nil:
		return fmt.Sprintf("host %q: %s: %s", s.Name, s.Phase, s.Failure.Summary)
	case s.Phase == "":
		return fmt.Sprintf("host %q is %s", s.Name, s.State)
	case s.Progress != nil && s.Progress.Total > 0:
		return fmt.Sprintf("host %q: %s, %d %%", s.Name, s.Phase, 10*tenths(s.Progress.Done, s.Progress.Total))
	}
	return fmt.Sprintf("host %q: %s", s.Name, s.Phase)
}

// sameStep ignores byte counts between two tenths.
func sameStep(a, b event.Event) bool {
	return a.Phase == b.Phase && a.Message == b.Message && tenths(a.Done, a.Total) == tenths(b.Done, b.Total)
}

func tenths(done, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return int64(10 * float64(done) / float64(total))
}
