// Package network makes the lab's switch: a network namespace with a bridge, a
// tap device per machine port and the addresses of the BMCs, and forwards from
// the outside into it.
//
// It also finds and ends the processes of such a namespace, so that nothing of
// a lab is left behind. It knows neither machines nor BMCs.
package network
