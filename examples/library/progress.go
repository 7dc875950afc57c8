package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
)

// often enough for a line about the same phase of the same object.
const often = 5 * time.Second

// watch prints the agent's events until stop is called.
func watch(client *agent.Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		last := map[string]event.Event{}
		err := client.Events(ctx, 0, func(e event.Event) error {
			before := last[e.Name]
			if e.Phase != before.Phase || e.Message != before.Message || e.Time.Sub(before.Time) >= often {
				last[e.Name] = e
				printEvent(e)
			}
			return nil
		})
		if ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "Events:", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func printEvent(e event.Event) {
	line := fmt.Sprintf("%s  %-7s %-14s %-13s %s", e.Time.Format(time.TimeOnly), e.Kind, e.Name, e.Phase, e.Message)
	if e.Total > 0 {
		line += fmt.Sprintf("  %d of %d MB", e.Done/1e6, e.Total/1e6)
	}
	fmt.Println(line)
}

func printNodes(s cluster.Status) {
	fmt.Printf("\nCluster %q is ready at %s\n", s.Name, s.Endpoint)
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tROLE\tADDRESS\tVERSION\tREADY")
	for _, n := range s.Nodes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%t\n", n.Name, n.Role, n.Address, n.Version, n.Ready)
	}
	table.Flush()
}
