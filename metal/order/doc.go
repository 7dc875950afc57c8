// Package order is the protocol between a facility's agent and the installer
// that runs in a server's RAM: what the installer reports, which orders it is
// given, and the HTTP messages that carry both.
//
// The installer is the client, always: it exchanges a one-time token for a
// session key, then keeps posting its Report and receives the Order that
// follows. An order has an ID; the same order given twice is done once, so a
// connection, an agent or a provider that dies in between costs nothing but a
// retry.
//
// The package knows neither BMCs nor disks: internal/installer carries orders
// out, metal/host decides which to give.
package order
