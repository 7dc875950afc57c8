package host

import (
	"context"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
)

// refresh asks the BMC for the power state, read-only. While work goes on the
// work's own observations stand.
func (h *managed) refresh(ctx context.Context) {
	h.mu.Lock()
	busy, spec, rec := h.goal != "", h.rec.Spec, h.rec
	h.mu.Unlock()
	if busy {
		return
	}
	power, problem := h.look(ctx, spec, rec)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.goal != "" {
		return
	}
	if problem != nil {
		h.rec.Status.Unreachable = problem.Error()
	} else {
		h.rec.Status.Power, h.rec.Status.Unreachable = power, ""
	}
	h.wake()
}

func (h *managed) look(ctx context.Context, spec Spec, rec Record) (power string, problem error) {
	client, err := h.m.cfg.Site.Connect(ctx, spec.BMC)
	if err != nil {
		return "", err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := client.Close(closing); err != nil {
			h.m.cfg.Logger.Warn("closing the BMC session", "host", spec.Name, "error", err)
		}
	}()
	system, err := client.System(ctx)
	if err != nil {
		return "", err
	}
	if err := checkSystem(rec, system); err != nil {
		return "", err
	}
	if system.Power == bmc.PowerOff {
		return "off", nil
	}
	return "on", nil
}

// ConsoleTail gives the last lines of the host's console, where its BMC keeps
// them.
func (m *Manager) ConsoleTail(ctx context.Context, name string, lines int) ([]string, error) {
	h, err := m.find(name)
	if err != nil {
		return nil, err
	}
	client, err := m.cfg.Site.Connect(ctx, h.spec().BMC)
	if err != nil {
		return nil, err
	}
	out, err := client.ConsoleTail(ctx, lines)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if closeErr := client.Close(closing); err == nil {
		err = closeErr
	}
	return out, err
}
