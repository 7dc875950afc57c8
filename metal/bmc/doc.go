// Package bmc is out-of-band control of one server through Redfish: power, boot
// override, virtual media, inventory, event and console log, over one kept
// connection, with every write read back.
//
// The Redfish vocabulary (reset types, power states, boot targets) is gofish's.
// Its API client is not used: in v0.20.0 it binds one context for its whole
// life, closes the connection after each request when it is given an
// http.Client, reads the service root on every connect, and reads bodies
// without a limit. Here one TLS connection carries everything, paths found once
// are kept in Paths, and answers are limited in size, members and time.
//
// Requests of the sequence connect, read power, set one-time boot, power on,
// close: five on one connection (and two more at first contact, for the service
// root and the systems), three when the client is kept. SetBoot and SetPower add
// their read-backs, at least one request each; RequestBoot and RequestPower
// leave those to a caller that looks again by itself.
//
// The package knows neither hosts' lifecycle nor where credentials come from.
package bmc
