// Command peers runs others' Go libraries for the benchmark of the module
// above, as processes of their own: bmclib and gofish against a Redfish
// service, go-ipam filling a pool. The protocol is that of command bench.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	err := fmt.Errorf("usage: peers bmc-client|ipam-claims ARGUMENT")
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "bmc-client":
			err = bmcClient(context.Background(), os.Args[2])
		case "ipam-claims":
			err = ipamClaims(context.Background(), os.Args[2])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}
