// Package image fetches operating system images, verifies their digests, and
// streams them to a block device: decoding, digest and writing side by side,
// zeros left out, dropped connections continued.
//
// It knows nothing of hosts, BMCs or networks other than HTTP.
package image
