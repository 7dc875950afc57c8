// Package lab is a virtual facility on one Linux machine: servers with real
// firmware and virtual BMCs on a bridge in a network namespace of their own.
//
// Up starts a daemon that holds everything, Down removes all of it, also what
// a crashed daemon left behind. The package knows nothing of the product's
// agent: an agent is just one more process on the bridge (see Exec).
package lab
