package netboot

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/pin/tftp/v3"
)

// TestHerd switches 200 hosts on at once: each gets its own address and its own
// image, whatever the others do; every fourth also loads iPXE by TFTP.
func TestHerd(t *testing.T) {
	const herd = 200
	hosts := newDirectory()
	for n := 2; n < 2+herd; n++ {
		hosts.put(host(n))
	}
	_, seen, _ := serve(t, hosts)
	start := time.Now()
	var wg sync.WaitGroup
	errs := make([]error, herd)
	for i := range herd {
		wg.Go(func() { errs[i] = boot(t, host(2+i), i%4 == 0) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d hosts in %s", herd, time.Since(start))
	for stage, want := range map[string]int{StageHTTP: herd, StageTFTP: herd / 4} {
		if got := seen.count(func(o Observation) bool { return o.Stage == stage && o.Done && o.Bytes == o.Total }); got != want {
			t.Errorf("%d complete transfers of stage %s, want %d", got, stage, want)
		}
	}
}

func boot(t *testing.T, c Client, withTFTP bool) error {
	client, err := nclient4.New(hostsPort, nclient4.WithHWAddr(c.MAC), nclient4.WithTimeout(2*time.Second), nclient4.WithRetry(3))
	if err != nil {
		return err
	}
	lease, err := client.Request(t.Context(), asHTTPClient...)
	if err := errors.Join(err, client.Close()); err != nil {
		return fmt.Errorf("host %q: %w", c.Name, err)
	}
	if got := lease.ACK.YourIPAddr.String(); got != c.Addr.Addr().String() {
		return fmt.Errorf("host %q got address %s, want %s", c.Name, got, c.Addr.Addr())
	}
	image, err := get(t.Context(), lease.ACK.BootFileNameOption())
	if err != nil {
		return fmt.Errorf("host %q: %w", c.Name, err)
	}
	if !bytes.Contains(image, []byte(c.Boot.Cmdline+" ")) {
		return fmt.Errorf("host %q got an image without its command line", c.Name)
	}
	if !withTFTP {
		return nil
	}
	loader, err := tftp.NewClient(segment.Agent.String() + ":69")
	if err != nil {
		return err
	}
	loader.SetBlockSize(1468)
	transfer, err := loader.Receive(FileUEFI, "octet")
	if err != nil {
		return fmt.Errorf("host %q: %w", c.Name, err)
	}
	var file bytes.Buffer
	_, err = transfer.WriteTo(&file)
	return err
}
