package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// options are the flags of all sections; each section uses some of them.
type options struct {
	// runs is the number of rounds.
	runs int
	// peers is the program of the module peers; empty: without it.
	peers string
	// provider is the provider's program.
	provider string
	// image is the folder of the OS image, installer that of the installer.
	image, installer string
	// work is a folder for large files; it exists.
	work string
	// lab is the file with the status of a running lab, as JSON.
	lab string
}

// sections are what a user asks for; each prints a part of the report.
var sections = map[string]func(context.Context, options) error{
	"boot": benchBoot, "image": benchImage, "bmc": benchBMC, "ipam": benchIPAM, "plugin": benchPlugin,
}

// competitors are this program's own parts in sections: processes apart, whose
// time and memory are measured.
var competitors = map[string]func(context.Context, []string) error{
	"bmc-client": bmcClient, "image-writer": imageWriter, "ipam-claims": ipamClaims, "empty-provider": emptyProvider,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: bench boot|image|bmc|ipam|plugin [flags]")
	}
	if f, ok := competitors[args[0]]; ok {
		return f(ctx, args[1:])
	}
	section, ok := sections[args[0]]
	if !ok {
		return fmt.Errorf("there is no section %q", args[0])
	}
	var o options
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 3, "rounds; the tables show medians")
	flags.StringVar(&o.peers, "peers", "", "program of the module peers")
	flags.StringVar(&o.provider, "provider", "", "the provider's program")
	flags.StringVar(&o.image, "image", "", "folder of the OS image")
	flags.StringVar(&o.installer, "installer", "", "folder of the installer")
	flags.StringVar(&o.work, "work", os.TempDir(), "folder for large files")
	flags.StringVar(&o.lab, "lab", "", "file with the status of a running lab")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if o.runs < 1 {
		return fmt.Errorf("-runs is %d, it must be 1 or more", o.runs)
	}
	return section(ctx, o)
}
