package bmc

import (
	"net/http"
	"time"
)

// postLock is how long a firmware's self-test keeps the boot settings.
const postLock = time.Second

func bootQuirks() map[string]quirk {
	return map[string]quirk{
		"smc-override-enabled-reset": {
			seen: "Supermicro; ironic release note supermicro-redfish-override-enabled",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				boot := bootOf(r, body)
				_, target := boot["BootSourceOverrideTarget"]
				if _, enabled := boot["BootSourceOverrideEnabled"]; target && !enabled {
					boot["BootSourceOverrideEnabled"] = overrideOnce
				}
				return nil
			},
		},
		"smc-mode-missing": {
			seen: "Supermicro X10; ironic release note redfish-boot-mode-override-not-present-handling",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				if _, mode := bootOf(r, body)["BootSourceOverrideMode"]; mode {
					return fail(http.StatusBadRequest, unknownProperty("/Boot/BootSourceOverrideMode"))
				}
				return nil
			},
			show: func(_ *BMC, path string, shown object) {
				if boot, ok := shown["Boot"].(map[string]any); ok && path == system {
					delete(boot, "BootSourceOverrideMode")
					delete(boot, "BootSourceOverrideMode@Redfish.AllowableValues")
				}
			},
		},
		"patch-200-not-stored": {
			seen: "Supermicro AS-1015CS-TNR-EU; bmc-toolbox/bmclib#459",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				clear(bootOf(r, body))
				return nil
			},
		},
		"persistent-unsupported": {
			seen:   "ironic release note fix-redfish-sadness-workaround",
			before: refuseContinuous,
		},
		"xcc-once-only": {
			seen:   "Lenovo XCC; bmclib providers/lenovo/boot.go",
			before: refuseContinuous,
		},
		"full-boot-payload": {
			seen:   "AMI, ASRock Rack; ironic release note redfish-full-boot-payload-asrockrack",
			before: requireFullBoot,
		},
		"minimal-boot-payload": {
			seen: "HPE DL160 Gen10; bmclib internal/redfishwrapper/boot_device.go",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				if _, mode := bootOf(r, body)["BootSourceOverrideMode"]; mode {
					return fail(http.StatusBadRequest, notWritable("/Boot/BootSourceOverrideMode"))
				}
				return nil
			},
		},
		"ilo-post-lock": {
			seen:   "HPE iLO; ironic release note redfish-post-boot-retry",
			before: lockedInPost,
		},
		"ignore-one-time-boot": {
			seen: "terraform-provider-capi's simulator",
			boot: func(boot *Boot, once bool) {
				if once {
					boot.Target, boot.URI = TargetNone, ""
				}
			},
		},
	}
}

func refuseContinuous(_ *BMC, r *http.Request, body object) *failure {
	if bootOf(r, body)["BootSourceOverrideEnabled"] == overrideContinuous {
		return fail(http.StatusBadRequest, notInList("/Boot/BootSourceOverrideEnabled", overrideContinuous))
	}
	return nil
}

func requireFullBoot(_ *BMC, r *http.Request, body object) *failure {
	boot := bootOf(r, body)
	for _, name := range []string{"BootSourceOverrideTarget", "BootSourceOverrideMode", "BootSourceOverrideEnabled"} {
		if _, there := boot[name]; boot != nil && !there {
			return fail(http.StatusBadRequest, message{"PropertyMissing", "The property " + name + " is required and was not included in the request.",
				[]string{name}, Warning, "Include the property.", "/Boot/" + name})
		}
	}
	return nil
}

func lockedInPost(b *BMC, r *http.Request, body object) *failure {
	if bootOf(r, body) == nil || !b.within(postLock, true) {
		return nil
	}
	return fail(http.StatusBadRequest, message{"UnableToModifyDuringSystemPOST", "The change can't be made while the system is in POST.",
		nil, Warning, "Try again when POST has ended.", ""})
}
