package host

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// maxReport bounds what an installer may send at once: an inventory of hundreds
// of disks and a log tail are far below.
const maxReport = 4 << 20

// maxLog is how many lines of the installer's log are kept.
const maxLog = 40

var errUnauthorized = errors.New("unauthorized")

// Handler serves the installer's protocol (package order). It must be reached
// through TLS only: bootstrap secrets pass through it.
func (m *Manager) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+order.PathSession, answer(m.openSession))
	mux.HandleFunc("POST "+order.PathExchange, answer(m.exchange))
	mux.HandleFunc("POST "+order.PathMilestone, answer(m.milestone))
	return mux
}

// answer decodes the body, calls f, and encodes what it gives.
func answer[Request, Response any](f func(key string, in Request) (Response, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in Request
		if err := json.NewDecoder(io.LimitReader(r.Body, maxReport)).Decode(&in); err != nil {
			http.Error(w, "the body is not the JSON that is expected", http.StatusBadRequest)
			return
		}
		key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		out, err := f(key, in)
		switch {
		case errors.Is(err, errUnauthorized):
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(out) // a peer that went away asks again
	}
}

// byBoot finds the host whose present boot fits.
func (m *Manager) byBoot(fits func(*BootSession) bool) *managed {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.hosts {
		h.mu.Lock()
		boot := h.rec.Boot
		ok := boot != nil && fits(boot)
		h.mu.Unlock()
		if ok {
			return h
		}
	}
	return nil
}

// ByToken gives the host whose present boot has that token, for the boot service.
func (m *Manager) ByToken(token string) (Spec, bool) {
	h := m.byBoot(func(b *BootSession) bool { return same(b.Token, token) })
	if h == nil {
		return Spec{}, false
	}
	return h.spec(), true
}

// ByMAC gives the record of the host with that boot MAC.
func (m *Manager) ByMAC(mac string) (Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.hosts {
		rec := h.record()
		if rec.Spec.BootMAC == mac {
			return rec, true
		}
	}
	return Record{}, false
}

func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// openSession takes a token once: a second nonce is another machine.
func (m *Manager) openSession(_ string, in order.SessionRequest) (order.SessionResponse, error) {
	h := m.byBoot(func(b *BootSession) bool { return same(b.Token, in.Token) })
	if h == nil || in.Nonce == "" {
		return order.SessionResponse{}, errUnauthorized
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	boot := h.rec.Boot
	if boot == nil || boot.Token != in.Token || (boot.Nonce != "" && !same(boot.Nonce, in.Nonce)) {
		return order.SessionResponse{}, errUnauthorized
	}
	next := *boot
	// The key follows from token and nonce, both of which only that installer
	// knows, so that the same request gets the same answer without keeping the key.
	key := digest("session " + boot.Token + " " + in.Nonce)
	next.Nonce, next.KeyDigest = in.Nonce, digest(key)
	h.rec.Boot = &next
	first := boot.Nonce == ""
	h.contact = h.m.cfg.Now()
	if err := h.save(); err != nil {
		return order.SessionResponse{}, err
	}
	name := h.rec.Spec.Name
	if first {
		took := h.contact.Sub(boot.Started)
		h.putTiming(Timing{Phase: PhasePowerOn, Seconds: took.Seconds()})
		h.m.cfg.Events.Publish(event.Event{Kind: "host", Name: name, Phase: string(PhasePowerOn), Message: "the installer runs", Elapsed: took})
	}
	return order.SessionResponse{Key: key, Host: name}, nil
}

// exchange takes a report and gives the present order. What was done is written
// down before the answer: after it, a kexec may follow.
func (m *Manager) exchange(key string, in order.Report) (order.Order, error) {
	h := m.byBoot(func(b *BootSession) bool { return b.KeyDigest != "" && same(b.KeyDigest, digest(key)) })
	if h == nil {
		return order.Order{}, errUnauthorized
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rec.Boot == nil { // switched off meanwhile
		return order.Order{}, errUnauthorized
	}
	h.contact = h.m.cfg.Now()
	if in.Inventory != nil {
		boot := *h.rec.Boot
		boot.Inventory = in.Inventory
		h.inventory, h.rec.Boot = in.Inventory, &boot
		if err := h.save(); err != nil {
			return order.Order{}, err
		}
	}
	if len(in.Log) > 0 {
		h.rec.Status.Log = tail(append(h.rec.Status.Log, in.Log...), maxLog)
	}
	if err := h.takeProgress(in.Progress); err != nil {
		return order.Order{}, err
	}
	running := in.Progress != nil && in.Progress.State == order.Running
	if h.inventory == nil && !running { // another order would cut off the running one
		return order.Order{ID: "inspect", Kind: order.Inspect}, nil
	}
	if h.current == nil {
		return order.Order{Kind: order.Wait}, nil
	}
	return *h.current, nil
}

// takeProgress keeps what the installer says of the present order. The caller
// holds mu.
func (h *managed) takeProgress(p *order.Progress) error {
	if p == nil || h.current == nil || p.OrderID != h.current.ID {
		h.wake()
		return nil
	}
	h.progress = p
	h.m.cfg.Events.Publish(event.Event{Kind: "host", Name: h.rec.Spec.Name, Phase: string(h.rec.Status.Phase),
		Message: p.Step, Done: p.Done, Total: p.Total, Elapsed: p.Elapsed})
	if p.State == order.Done {
		switch h.current.Kind {
		case order.WriteImage:
			if !h.rec.Written { // reported once more after a lost answer
				h.rec.Status.ImagesWritten++
			}
			h.rec.Written = true
		case order.Boot:
			h.rec.Booted = true
		}
		return h.save()
	}
	h.wake()
	return nil
}

// milestone takes what the deployed system reports of its first boot.
func (m *Manager) milestone(key string, in order.Milestone) (struct{}, error) {
	m.mu.Lock()
	var h *managed
	for _, candidate := range m.hosts {
		if same(candidate.record().MilestoneKey, key) {
			h = candidate
		}
	}
	m.mu.Unlock()
	if h == nil {
		return struct{}{}, errUnauthorized
	}
	if len(in.Message) > 16<<10 {
		in.Message = in.Message[len(in.Message)-16<<10:]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.m.cfg.Now()
	status := &h.rec.Status
	milestones, times := cloneMap(status.Milestones), cloneMap(status.MilestoneTimes)
	milestones[in.Name], times[in.Name] = in, now
	status.Milestones, status.MilestoneTimes = milestones, times
	h.m.cfg.Events.Publish(event.Event{Kind: "host", Name: h.rec.Spec.Name, Phase: string(PhaseFirstBoot), Message: in.Name})
	return struct{}{}, h.save()
}

// MilestoneKey is the key with which the system deployed on the host reports;
// made once per deployment.
func (m *Manager) MilestoneKey(name string) (string, error) {
	h, err := m.find(name)
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rec.MilestoneKey == "" {
		h.rec.MilestoneKey = secret()
		if err := h.save(); err != nil {
			return "", err
		}
	}
	return h.rec.MilestoneKey, nil
}

// Record gives a copy of all that is kept of the host.
func (m *Manager) Record(name string) (Record, error) {
	h, err := m.find(name)
	if err != nil {
		return Record{}, err
	}
	return h.record(), nil
}

func tail(lines []string, n int) []string {
	return append([]string(nil), lines[max(0, len(lines)-n):]...)
}

func cloneMap[V any](in map[string]V) map[string]V {
	out := make(map[string]V, len(in)+1)
	for k, v := range in {
		out[k] = v
	}
	return out
}
