// Package cli is the command line of the lab: flags and output, nothing else.
package cli
