package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// options are the flags.
type options struct {
	config     string
	state      string
	kubeconfig string
	log        string
	destroy    bool
}

func main() {
	var o options
	flag.StringVar(&o.config, "config", "", "JSON `file` that says what is wanted; not needed with -destroy")
	flag.StringVar(&o.state, "state", ".metal", "`directory` of what must not be forgotten: keep it until after -destroy")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "`file` to write an administrator's kubeconfig to")
	flag.StringVar(&o.log, "log", "warn", "`level` of the log on standard error")
	flag.BoolVar(&o.destroy, "destroy", false, "give every server back as it was found")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := run(ctx, o)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "Interrupted. Run the same command again: it continues where it was.")
		os.Exit(130)
	default:
		explain(err)
		os.Exit(1)
	}
}

// run opens an agent inside this process. It serves DHCP, boot files and images
// from here, so that nothing has to be installed anywhere; it ends with Close,
// and the next one that opens the directory continues.
func run(ctx context.Context, o options) (err error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "metal", Level: hclog.LevelFromString(o.log), Output: os.Stderr})
	client, err := agent.Dial(ctx, "embedded:"+o.state, agent.Options{Version: "example", Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	defer watch(client)()
	if o.destroy {
		return teardown(ctx, client)
	}
	cfg, err := load(o.config)
	if err != nil {
		return err
	}
	status, err := bootstrap(ctx, client, cfg)
	if err != nil {
		return err
	}
	printNodes(status)
	if o.kubeconfig == "" {
		return nil
	}
	text, err := client.Kubeconfig(ctx, status.Name, 0)
	if err != nil {
		return err
	}
	return os.WriteFile(o.kubeconfig, text, 0o600)
}

// explain prints each of the errors that err joins. The library's own are
// *fault.Error: what was seen on which subject, what was expected, what to do.
func explain(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // each is looked at by itself
		for _, one := range joined.Unwrap() {
			explain(one)
		}
		return
	}
	var f *fault.Error
	if errors.As(err, &f) {
		fmt.Fprintf(os.Stderr, "Error: %s\n%s\n", f.Summary, f.Detail())
		return
	}
	fmt.Fprintln(os.Stderr, "Error:", err)
}
