package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bmc-toolbox/bmclib/v2"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/redfish"
)

// The user of the simulated BMCs of command bench.
const (
	user     = "admin"
	password = "not-a-secret"
)

// bmcClient drives the hosts of the line on standard input, all at once, after
// it said "ready" and was told to go.
func bmcClient(ctx context.Context, way string) error {
	ways := map[string]func(context.Context, string) error{"bmclib": viaBMClib,
		"gofish":       func(_ context.Context, u string) error { return viaGofish(u, false) },
		"gofish-reuse": func(_ context.Context, u string) error { return viaGofish(u, true) }}
	drive, ok := ways[way]
	if !ok {
		return fmt.Errorf("there is no way %q", way)
	}
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	hosts := strings.Fields(line)
	fmt.Println("ready")
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	before, began := processor(), time.Now()
	errs := make(chan error, len(hosts))
	var wait sync.WaitGroup
	for _, host := range hosts {
		wait.Go(func() {
			if err := drive(ctx, host); err != nil {
				errs <- err
			}
		})
	}
	wait.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{"seconds": time.Since(began).Seconds(), "cpu": processor() - before})
}

// viaBMClib uses only bmclib's gofish provider, its best case: by default it
// opens all that answer.
func viaBMClib(ctx context.Context, host string) (err error) {
	u, err := url.Parse(host)
	if err != nil {
		return err
	}
	c := bmclib.NewClient(u.Hostname(), user, password, bmclib.WithRedfishPort(u.Port()))
	c.Registry.Drivers = c.Registry.For("gofish")
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := c.Open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	if _, err := c.GetPowerState(ctx); err != nil {
		return err
	}
	if _, err := c.SetBootDevice(ctx, "pxe", false, true); err != nil {
		return err
	}
	_, err = c.SetPowerState(ctx, "on")
	return err
}

func viaGofish(host string, reuse bool) error {
	c, err := gofish.Connect(gofish.ClientConfig{Endpoint: host, Username: user, Password: password, Insecure: true, ReuseConnections: reuse})
	if err != nil {
		return err
	}
	defer c.Logout()
	first := func() (*redfish.ComputerSystem, error) {
		all, err := c.Service.Systems()
		if err != nil {
			return nil, err
		}
		return all[0], nil
	}
	if _, err := first(); err != nil { // its power
		return err
	}
	s, err := first()
	if err != nil {
		return err
	}
	if err := s.SetBoot(redfish.Boot{BootSourceOverrideEnabled: redfish.OnceBootSourceOverrideEnabled,
		BootSourceOverrideTarget: redfish.PxeBootSourceOverrideTarget}); err != nil {
		return err
	}
	if s, err = first(); err != nil {
		return err
	}
	return s.Reset(redfish.OnResetType)
}

func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
