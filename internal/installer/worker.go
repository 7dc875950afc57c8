package installer

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// remembered is how many orders' results are kept for being asked again.
const remembered = 256

// executor carries one order out. next, when not nil, is done after the agent
// acknowledged the result: it ends the installer.
type executor func(ctx context.Context, o order.Order, t *tracker) (next func() error, err error)

// worker runs one order at a time beside the exchanges with the agent.
type worker struct {
	ctx    context.Context
	exec   executor
	logger hclog.Logger

	mu      sync.Mutex
	jobs    map[string]*job
	ids     []string
	shown   *job // the one that the agent asked for last
	newest  *job // the one that runs, or ran last
	changed chan struct{}
}

type job struct {
	order    order.Order
	began    time.Time
	progress order.Progress
	next     func() error
	cancel   context.CancelFunc
	finished chan struct{}
}

func newWorker(ctx context.Context, logger hclog.Logger, exec executor) *worker {
	return &worker{ctx: ctx, exec: exec, logger: logger, jobs: map[string]*job{}, changed: make(chan struct{})}
}

// take begins an order, unless it was begun before: then its progress is shown
// again. A new order ends the one that still runs: the agent has decided anew.
func (w *worker) take(o order.Order) {
	if o.Kind == "" || o.Kind == order.Wait {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if j, ok := w.jobs[o.ID]; ok {
		w.shown = j
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	j := &job{order: o, began: time.Now(), cancel: cancel, finished: make(chan struct{}),
		progress: order.Progress{OrderID: o.ID, State: order.Running}}
	before := w.newest
	w.keep(j)
	w.shown, w.newest = j, j
	if before != nil {
		before.cancel()
	}
	w.logger.Info("order", "kind", o.Kind, "id", o.ID)
	go func() {
		defer cancel()
		if before != nil {
			<-before.finished
		}
		next, err := w.guarded(ctx, j)
		w.finish(j, next, err)
	}()
}

func (w *worker) keep(j *job) {
	w.jobs[j.order.ID] = j
	w.ids = append(w.ids, j.order.ID)
	if len(w.ids) > remembered {
		delete(w.jobs, w.ids[0])
		w.ids = w.ids[1:]
	}
}

// guarded turns a panic into a failed order: PID 1 must live to report it.
func (w *worker) guarded(ctx context.Context, j *job) (next func() error, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.Error("order panicked", "id", j.order.ID, "panic", p, "stack", string(debug.Stack()))
			next, err = nil, fmt.Errorf("carrying out order %q: panic: %v", j.order.ID, p)
		}
	}()
	return w.exec(ctx, j.order, &tracker{w: w, j: j})
}

func (w *worker) finish(j *job, next func() error, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &j.progress
	p.Elapsed = time.Since(j.began)
	p.State, j.next = order.Done, next
	if err != nil {
		f := classify(err)
		p.State, p.Reason, p.Retryable, p.Error = order.Failed, f.reason, f.retryable, message(err)
		w.logger.Error("order failed", "id", p.OrderID, "reason", f.reason, "error", err)
	} else {
		w.logger.Info("order done", "id", p.OrderID, "seconds", int(p.Elapsed.Seconds()))
	}
	close(j.finished)
	w.wake()
}

// wake tells whoever waits that there is something new to report. Call with mu held.
func (w *worker) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// watch gives a channel that is closed at the next change worth a report at
// once, and what to report now.
func (w *worker) watch() (<-chan struct{}, *order.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown == nil {
		return w.changed, nil
	}
	p := w.shown.progress
	if p.State == order.Running {
		p.Elapsed = time.Since(w.shown.began)
	}
	return w.changed, &p
}

// acknowledged is called after the agent took a report: it gives what has to be
// done then, once.
func (w *worker) acknowledged(p *order.Progress) func() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p == nil || p.State != order.Done {
		return nil
	}
	j := w.jobs[p.OrderID]
	if j == nil || j != w.newest {
		return nil
	}
	next := j.next
	j.next = nil
	return next
}

// instead replaces a job's result after its next step failed.
func (w *worker) instead(id string, next func() error, step string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.jobs[id]; j != nil {
		j.next, j.progress.Step = next, step
		w.wake()
	}
}

// stop ends the running order and waits for it.
func (w *worker) stop() {
	w.mu.Lock()
	j := w.newest
	w.mu.Unlock()
	if j != nil {
		j.cancel()
		<-j.finished
	}
}

// tracker is how an executor tells its progress.
type tracker struct {
	w *worker
	j *job
}

// step names what is done now, and reports it at once.
func (t *tracker) step(name string) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.j.progress.Step = name
	t.w.wake()
}

// bytes tells how far the writing is; it goes with the next report.
func (t *tracker) bytes(done, total, written int64) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	p := &t.j.progress
	p.Done, p.Total, p.Written = done, total, written
}

// baseline tells how fast the disk took zeros.
func (t *tracker) baseline(bytesPerSecond float64) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.j.progress.Baseline = bytesPerSecond
}
