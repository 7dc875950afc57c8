// Package ipam hands out addresses: ranges, stable claims by owner, released by owner.
//
// It knows neither networks on the wire nor who its owners are.
package ipam
