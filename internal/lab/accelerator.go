package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/nanometal/terraform-provider-metal/internal/lab/machine"
	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
)

// cachedVerdict is the result of a trial, valid for one boot of the host.
type cachedVerdict struct {
	Boot    string          `json:"boot"`
	Verdict machine.Verdict `json:"verdict"`
}

// accelerator decides between KVM and TCG; a trial is made once per boot of
// the host.
func accelerator(ctx context.Context, dir, wanted string) (machine.Verdict, error) {
	if wanted != "auto" {
		return machine.Verdict{Accelerator: wanted, Reason: "as configured"}, nil
	}
	path := filepath.Join(dir, "accelerator.json")
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return machine.Verdict{}, err
	}
	var cached cachedVerdict
	if err := statefile.ReadJSON(path, &cached); err == nil && cached.Boot == strings.TrimSpace(string(boot)) {
		return cached.Verdict, nil
	}
	cached = cachedVerdict{Boot: strings.TrimSpace(string(boot)), Verdict: machine.TryKVM(ctx, dir)}
	return cached.Verdict, statefile.WriteJSON(path, cached)
}
