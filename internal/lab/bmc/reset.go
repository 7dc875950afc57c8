package bmc

import (
	"context"
	"net/http"
	"slices"
)

const (
	resetAction   = "#ComputerSystem.Reset"
	resetPath     = system + "/Actions/ComputerSystem.Reset"
	resetInfoPath = system + "/ResetActionInfo"
)

// The values of Resource.ResetType that the BMC can do.
const (
	resetOn               = "On"
	resetForceOn          = "ForceOn"
	resetForceOff         = "ForceOff"
	resetGracefulShutdown = "GracefulShutdown"
	resetGracefulRestart  = "GracefulRestart"
	resetForceRestart     = "ForceRestart"
	resetPowerCycle       = "PowerCycle"
	resetPushPowerButton  = "PushPowerButton"
)

var resetTypes = []string{resetOn, resetForceOn, resetForceOff, resetGracefulShutdown, resetGracefulRestart,
	resetForceRestart, resetPowerCycle, resetPushPowerButton}

func (b *BMC) resetRoutes(r *router) {
	r.post(resetPath, b.reset)
	r.get(resetInfoPath, fixed(object{
		"@odata.id": resetInfoPath, "@odata.type": "#ActionInfo.v1_3_0.ActionInfo", "Id": "ResetActionInfo", "Name": "Reset Action Info",
		"Parameters": []object{{"Name": "ResetType", "Required": true, "DataType": "String", "AllowableValues": resetTypes}},
	}))
}

func (b *BMC) reset(r *http.Request, body object) (*answer, *failure) {
	for name := range body {
		if name != "ResetType" {
			return nil, unknownParameter(resetAction, name)
		}
	}
	value, there := body["ResetType"]
	if !there {
		return nil, missingParameter(resetAction, "ResetType")
	}
	kind, ok := value.(string)
	if !ok {
		return nil, parameterType(resetAction, "ResetType", value)
	}
	if !slices.Contains(resetTypes, kind) {
		return nil, badParameter(resetAction, "ResetType", kind)
	}
	// The machine is not left half way when the client goes away.
	problem, err := b.doReset(context.WithoutCancel(r.Context()), kind)
	if err != nil {
		b.config.Logger.Error("reset failed", "machine", b.config.Hardware.Name, "type", kind, "error", err)
		b.Log(Critical, "The reset "+kind+" failed: "+err.Error())
		return nil, internalError()
	}
	if problem != nil {
		return nil, problem
	}
	return noContent(), nil
}

// doReset does what is asked; what is so already is success.
func (b *BMC) doReset(ctx context.Context, kind string) (*failure, error) {
	m := b.config.Machine
	on := m.On()
	b.expectRestart(kind == resetGracefulRestart && on)
	switch kind {
	case resetOn, resetForceOn:
		return nil, m.PowerOn(ctx)
	case resetForceOff:
		return nil, m.PowerOff(ctx)
	case resetPushPowerButton:
		if !on {
			return nil, m.PowerOn(ctx)
		}
		return nil, m.PressButton(ctx)
	case resetGracefulShutdown:
		if !on {
			return nil, nil
		}
		return nil, m.PressButton(ctx)
	}
	if !on {
		return inStandby(), nil
	}
	switch kind {
	case resetGracefulRestart:
		return nil, m.PressButton(ctx)
	case resetForceRestart:
		return nil, m.Reset(ctx)
	default: // resetPowerCycle
		if err := m.PowerOff(ctx); err != nil {
			return nil, err
		}
		return nil, m.PowerOn(ctx)
	}
}

// expectRestart says whether the next power-off is the first half of a
// graceful restart. Any later reset action supersedes it.
func (b *BMC) expectRestart(expected bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restart = expected
}
