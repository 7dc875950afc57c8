// Package content tells what is on a disk: partition tables and the signatures
// of file systems and volume managers, read with nothing but io.ReaderAt.
//
// It trusts no byte of the disk: every number is checked against the disk's
// size, and the amount read is bounded.
package content
