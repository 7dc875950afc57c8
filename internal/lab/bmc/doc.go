// Package bmc is a virtual baseboard management controller: a Redfish service
// over TLS in front of one machine of the lab.
//
// It owns what a BMC owns (boot override, boot order, virtual media, accounts,
// sessions, logs, the last power state) and keeps it in a directory. The
// machine behind it is an interface with two implementations, a QEMU process
// and a simulated machine; the package knows neither.
package bmc
