// Package ipam hands out addresses: ranges of a subnet, stable claims by owner,
// released by owner.
//
// It is pure: no network, no files. It knows neither networks on the wire nor
// who its owners are; an owner is an opaque string. Whoever uses a Pool keeps
// Claims somewhere durable and gives them back with Restore.
package ipam
