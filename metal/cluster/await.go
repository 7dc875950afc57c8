package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

var errDeadline = errors.New("the bootstrap timeout has passed")

const (
	// consoleTimeout bounds how long evidence is collected.
	consoleTimeout = 5 * time.Second
	maxEvidence    = 60
)

// alarm says that waiting for a host is in vain.
type alarm struct {
	host   string
	status host.Status
	why    string
	err    error
}

// await calls poll until it says done, with growing pauses, and at once when
// the status of one of the hosts changes. It ends early when a host's first boot
// failed or the host is off, and at the latest when the bootstrap timeout has
// passed. poll's text says what was seen last, for the fault.
func (r *run) await(ctx context.Context, what string, hosts []string, poll func(context.Context) (bool, string)) error {
	if r.deadline.IsZero() {
		r.deadline = time.Now().Add(time.Duration(r.spec.BootstrapTimeoutSeconds) * time.Second)
	}
	waiting, cancel := context.WithDeadlineCause(ctx, r.deadline, errDeadline)
	defer cancel()
	alarms, news := make(chan alarm, len(hosts)), make(chan struct{}, 1)
	rec := r.snapshot()
	for _, name := range hosts {
		go r.watch(waiting, name, rec.Deployment(name), alarms, news)
	}
	pause, seen := r.Poll, ""
	for {
		done, now := r.pollOnce(waiting, poll)
		if done {
			return nil
		}
		if waiting.Err() == nil || seen == "" {
			// What was cut short by the deadline says nothing of the cluster.
			seen = now
		}
		timer := time.NewTimer(pause)
		select {
		case a := <-alarms:
			timer.Stop()
			return r.alarmFault(ctx, a)
		case <-news:
			pause = r.Poll
		case <-timer.C:
			pause = min(2*pause, 5*r.Poll)
		case <-waiting.Done():
			timer.Stop()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return r.deadlineFault(ctx, what, seen, hosts)
		}
		timer.Stop()
	}
}

func (r *run) pollOnce(ctx context.Context, poll func(context.Context) (bool, string)) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	done, seen := poll(ctx)
	r.log.Trace("looked", "done", done, "seen", seen)
	return done, seen
}

// watch raises the alarm once, or gives up with the context.
func (r *run) watch(ctx context.Context, name, deployment string, alarms chan<- alarm, news chan<- struct{}) {
	for ctx.Err() == nil {
		status, err := r.Hosts.Host(ctx, name)
		if err != nil {
			alarms <- alarm{host: name, err: err}
			return
		}
		if why := trouble(status, deployment); why != "" {
			alarms <- alarm{host: name, status: status, why: why}
			return
		}
		r.awaitNews(ctx, name, status.Revision)
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// awaitNews returns when the host's status has changed, and after a while
// anyway: somebody who switches a server off by hand tells nobody.
func (r *run) awaitNews(ctx context.Context, name string, after uint64) {
	waiting, cancel := context.WithTimeout(ctx, r.recheck)
	defer cancel()
	s, err := r.Hosts.Wait(waiting, name, after)
	if waiting.Err() != nil || (err == nil && s.Revision != after) {
		return
	}
	// Wait came back early with nothing new.
	timer := time.NewTimer(r.Poll)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (r *run) alarmFault(ctx context.Context, a alarm) error {
	if a.err != nil {
		return fmt.Errorf("watching host %q: %w", a.host, a.err)
	}
	return r.bootFault(ctx, a.host, a.status, a.why)
}

// bootFault tells of a first boot that came to a bad end, with all evidence.
func (r *run) bootFault(ctx context.Context, name string, s host.Status, why string) *fault.Error {
	message := strings.TrimSpace(s.Milestones[order.MilestoneFailed].Message)
	f := &fault.Error{
		Class: fault.NeedsPerson, Subject: hostSubject(name), Attribute: r.attribute(name), Phase: string(host.PhaseBootstrap), Summary: why,
		Seen: milestonesSeen(s), Expected: fmt.Sprintf("the milestone %q", order.MilestoneBootstrapped),
		Advice: "find the reason in the evidence, correct it, and apply again; the host is then written again",
	}
	if message != "" {
		f.Evidence = strings.Split(message, "\n")
	}
	f.Evidence = bound(append(f.Evidence, r.console(ctx, name)...))
	return f
}

func (r *run) deadlineFault(ctx context.Context, what, seen string, hosts []string) error {
	f := &fault.Error{
		Class: fault.Retryable, Subject: subject(r.spec.Name), Phase: string(r.snapshot().Phase),
		Summary:  fmt.Sprintf("waiting for %s took longer than %d s", what, r.spec.BootstrapTimeoutSeconds),
		Seen:     seen,
		Expected: what,
		Advice:   "look at the evidence and at the hosts' consoles; apply again to go on waiting, or raise \"bootstrap_timeout_seconds\"",
	}
	for _, name := range hosts {
		if status, err := r.Hosts.Host(ctx, name); err == nil {
			f.Evidence = append(f.Evidence, fmt.Sprintf("%s: %s", hostSubject(name), milestonesSeen(status)))
		}
	}
	if len(hosts) > 0 {
		f.Evidence = append(f.Evidence, r.console(ctx, hosts[0])...)
	}
	f.Evidence = bound(f.Evidence)
	return f
}

func (r *run) console(ctx context.Context, name string) []string {
	ctx, cancel := context.WithTimeout(ctx, consoleTimeout)
	defer cancel()
	facts, err := r.Hosts.Facts(ctx, name)
	if err != nil || facts.ConsoleTail == nil {
		return nil
	}
	var out []string
	for _, line := range facts.ConsoleTail(ctx) {
		out = append(out, "console: "+line)
	}
	return out
}

func milestonesSeen(s host.Status) string {
	var names []string
	for name := range s.Milestones {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "no milestone of the first boot"
	}
	slices.Sort(names)
	return "milestones " + strings.Join(names, ", ")
}

// bound keeps the last lines.
func bound(lines []string) []string {
	return lines[max(0, len(lines)-maxEvidence):]
}
