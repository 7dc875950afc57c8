package host

// Action is the one next thing to do to a host.
type Action string

// The actions. Each is small and can be repeated.
const (
	ActNone          Action = "none"           // the goal is reached
	ActLedger        Action = "ledger"         // write down what will be changed
	ActPowerOff      Action = "power-off"      //
	ActPowerOn       Action = "power-on"       // into what is installed
	ActBootInstaller Action = "boot-installer" // new token, one-time boot, power on
	ActAwait         Action = "await"          // the installer is on its way
	ActAccept        Action = "accept"         // check and keep the inventory
	ActWrite         Action = "write"          // image, seed, files
	ActAdoptWritten  Action = "adopt-written"  // the disk's mark says: already written
	ActStart         Action = "start"          // boot what was written
	ActWipe          Action = "wipe"           //
	ActForgetImage   Action = "forget-image"   // no deployment any more
	ActRestore       Action = "restore"        // ledger backwards
)

// Decide gives the one next action towards goal: a pure function of the record
// and of what was observed. deployment is the wanted deployment's ID.
func Decide(goal Goal, deployment string, r Record, o Observation) Action {
	if goal != GoalReleased && len(r.Status.Ledger) == 0 {
		return ActLedger
	}
	switch goal {
	case GoalAvailable:
		return decideAvailable(r, o)
	case GoalProvisioned:
		return decideProvisioned(deployment, r, o)
	case GoalDeprovisioned:
		return decideDeprovisioned(r, o)
	case GoalReleased:
		return decideReleased(r, o)
	}
	return ActNone
}

func decideAvailable(r Record, o Observation) Action {
	if r.Status.Deployment != "" {
		// A provisioned host stays as it is; only its power is kept as wanted.
		if r.Booted && o.Power == "off" {
			return ActPowerOn
		}
		return ActNone
	}
	if r.Status.Hardware == nil || r.Status.RootDisk == nil {
		return throughInstaller(o, ActAccept)
	}
	return thenOff(o, ActNone)
}

func decideProvisioned(deployment string, r Record, o Observation) Action {
	if r.Booted && r.Status.Deployment == deployment {
		if o.Power == "off" {
			return ActPowerOn
		}
		return ActNone
	}
	if r.Written && r.Status.Deployment == deployment {
		return throughInstaller(o, ActStart)
	}
	next := ActWrite
	if o.Disk != nil && o.Disk.Mark != nil && o.Disk.Mark.Complete && o.Disk.Mark.Deployment == deployment && o.Disk.Mark.Host == r.Spec.Name {
		next = ActAdoptWritten
	}
	return throughInstaller(o, next)
}

func decideDeprovisioned(r Record, o Observation) Action {
	if r.Status.Deployment == "" {
		return thenOff(o, ActNone)
	}
	if r.Spec.Wipe == WipeNever {
		return thenOff(o, ActForgetImage)
	}
	return throughInstaller(o, ActWipe)
}

func decideReleased(r Record, o Observation) Action {
	if r.Status.Deployment != "" {
		return decideDeprovisioned(r, o)
	}
	for _, e := range r.Status.Ledger {
		if !e.Undone {
			return ActRestore
		}
	}
	return ActNone
}

// throughInstaller gets the installer running on the host, then says next.
// While a deployed system runs, Session and Booting are false: it is switched
// off first.
func throughInstaller(o Observation, next Action) Action {
	switch {
	case o.Session:
		return next
	case o.Power == "on" && o.Booting:
		return ActAwait
	case o.Power == "on":
		return ActPowerOff
	default:
		return ActBootInstaller
	}
}

func thenOff(o Observation, next Action) Action {
	if o.Power == "on" {
		return ActPowerOff
	}
	return next
}
