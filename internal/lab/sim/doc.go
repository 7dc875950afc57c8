// Package sim is the light machine of the lab: everything that a server does
// on the wire, without a processor of its own. Its BMC is the lab's virtual BMC
// over TLS, its firmware fetches what the BMC says over HTTP, and what then runs
// is the real installer code on disks made of files.
//
// It has no DHCP client: it shares the addresses of the process it runs in.
package sim
