package bmc

import "sync"

// Paths remembers where the resources of BMCs are, so that a later connection
// needs neither the service root nor the collections. It holds no secret. The
// zero value is ready; it may be shared by any number of clients.
type Paths struct {
	mu    sync.Mutex
	known map[string]place
}

// place is what is known of one BMC. Empty fields are unknown.
type place struct {
	// Sessions is the session collection; Basic says that there is none.
	Sessions string
	Basic    bool
	// System is the ComputerSystem and Reset the target of its reset action.
	System string
	Reset  string
	// Resets are the reset types that it takes, if it says so.
	Resets []string
	// Media is the virtual media collection, NoMedia says that there is none.
	Media   string
	NoMedia bool
	// Events is the entries collection of the event log.
	Events string
}

func (p *Paths) get(key string) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[key]
}

func (p *Paths) update(key string, change func(*place)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]place{}
	}
	v := p.known[key]
	change(&v)
	p.known[key] = v
}

// Forget drops what is known of all systems behind the BMC at url.
func (p *Paths) Forget(url string) {
	base, err := parseURL(url)
	if err != nil {
		return // never stored under such a URL
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.known {
		if k == pathsKey(base.String(), "") || len(k) > len(base.String()) && k[:len(base.String())+1] == base.String()+"\n" {
			delete(p.known, k)
		}
	}
}

func pathsKey(base, systemID string) string { return base + "\n" + systemID }
