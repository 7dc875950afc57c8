package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
)

// bmcClient drives hosts as one process. Its input is a line with their URLs;
// it prints "ready", waits for a line, drives all at once, and prints a
// bmcResult. The module peers does the same with others' libraries.
func bmcClient(ctx context.Context, args []string) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the hosts: %w", err)
	}
	way := args[0]
	var hosts []*driven
	for _, url := range strings.Fields(line) {
		hosts = append(hosts, &driven{config: bmc.Config{URL: url, Username: mockUser, Password: mockPassword, Insecure: true, Cache: &bmc.Paths{}},
			kept: strings.HasPrefix(way, "kept"), readBack: strings.HasSuffix(way, "read-back")})
	}
	if way != "first" {
		if err := together(hosts, func(d *driven) error { return d.prepare(ctx) }); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if _, err := in.ReadString('\n'); err != nil {
		return fmt.Errorf("waiting for the start: %w", err)
	}
	before, began := processor(), time.Now()
	if err := together(hosts, func(d *driven) error { return d.drive(ctx) }); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(bmcResult{Seconds: time.Since(began).Seconds(), CPU: processor() - before})
}

// driven is one host.
type driven struct {
	config         bmc.Config
	client         *bmc.Client
	kept, readBack bool
}

// prepare makes the first contact, and keeps it where that is the way.
func (d *driven) prepare(ctx context.Context) error {
	client, err := bmc.Connect(ctx, d.config)
	if err != nil {
		return err
	}
	if d.kept {
		d.client = client
		_, err := client.Power(ctx)
		return err
	}
	return client.Close(ctx)
}

func (d *driven) drive(ctx context.Context) error {
	client := d.client
	if client == nil {
		var err error
		if client, err = bmc.Connect(ctx, d.config); err != nil {
			return err
		}
	}
	if _, err := client.Power(ctx); err != nil {
		return err
	}
	boot, power := client.RequestBoot, client.RequestPower
	if d.readBack {
		boot, power = client.SetBoot, client.SetPower
	}
	if err := boot(ctx, bmc.Boot{Enabled: "Once", Target: "Pxe"}); err != nil {
		return err
	}
	if err := power(ctx, bmc.On); err != nil {
		return err
	}
	if d.kept {
		return nil
	}
	return client.Close(ctx)
}

// together runs f for all hosts at once and gives the first error.
func together(hosts []*driven, f func(*driven) error) error {
	var wait sync.WaitGroup
	errs := make(chan error, len(hosts))
	for _, d := range hosts {
		wait.Go(func() {
			if err := f(d); err != nil {
				errs <- err
			}
		})
	}
	wait.Wait()
	close(errs)
	return <-errs
}

// processor is the CPU time of this process so far in seconds.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
