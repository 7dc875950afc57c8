// Package machine runs one server of the lab as a QEMU process: real firmware,
// a serial console that is kept in a bounded log, and a power button.
//
// It implements the machine interface of internal/lab/bmc. It creates no
// network: the tap devices that it is given must exist in the network
// namespace that it runs in.
package machine
