package bmc

import "slices"

// NextBoot implements Board. A one-time override is used up here: the firmware
// has read it (Redfish, ComputerSystem.Boot.BootSourceOverrideEnabled "Once").
func (b *BMC) NextBoot() Boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	boot := Boot{Target: TargetNone, Order: slices.Clone(b.state.BootOrder)}
	if b.state.Media != nil {
		boot.Media = b.state.Media.Path
	}
	if b.state.OverrideEnabled != overrideDisabled {
		boot.Target = b.state.OverrideTarget
	}
	if boot.Target == TargetUefiHTTP {
		boot.URI = b.state.HTTPBootURI
	}
	once := b.state.OverrideEnabled == overrideOnce
	if once {
		b.state.OverrideEnabled, b.state.OverrideTarget = overrideDisabled, TargetNone
	}
	for _, q := range b.quirks {
		if q.boot != nil {
			q.boot(&boot, once)
		}
	}
	b.state.LastReset = b.config.Now()
	b.log(OK, "System firmware started; boot source override: "+string(boot.Target))
	b.save()
	return boot
}

// PowerChanged implements Board.
func (b *BMC) PowerChanged(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.state.LastPowerOn = on
	b.powerOn, b.powerChanged = on, b.config.Now()
	if on {
		b.log(OK, "The system was powered on")
	} else {
		b.log(OK, "The system was powered off")
	}
	b.save()
	if !on && b.restart {
		b.restart = false
		b.spawn(func() {
			if err := b.config.Machine.PowerOn(b.background); err != nil {
				b.Log(Critical, "The system did not come up after a restart: "+err.Error())
			}
		})
	}
}

// Log implements Board.
func (b *BMC) Log(severity Severity, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log(severity, message)
	b.save()
}

// spawn runs work that Close waits for. It needs the lock, or a BMC that
// can't be closed meanwhile.
func (b *BMC) spawn(work func()) {
	b.working.Add(1)
	go func() {
		defer b.working.Done()
		work()
	}()
}
