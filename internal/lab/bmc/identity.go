package bmc

import (
	"crypto/sha256"
	"fmt"
)

// derivedUUID gives the same UUID for the same words every time (RFC 9562,
// version 8), so that a resource keeps its identity over restarts.
func derivedUUID(words ...string) string {
	h := sha256.New()
	for _, word := range words {
		fmt.Fprintf(h, "%d:%s", len(word), word)
	}
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
