package facility

import (
	"fmt"
	"io"
)

// Credentials are the username and password of a BMC. They are held in memory
// and travel as JSON on the agent's socket; formatting them with any verb of
// fmt gives a text without the secret, so that a log line cannot carry it.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// redacted is what formatting gives instead of the fields.
const redacted = "facility.Credentials(redacted)"

// String hides the fields.
func (Credentials) String() string { return redacted }

// GoString hides the fields.
func (Credentials) GoString() string { return redacted }

// Format hides the fields from every verb: without it %d would print them.
// There is no MarshalText on purpose, the wire needs the values.
func (Credentials) Format(f fmt.State, _ rune) {
	// The writer of a fmt.State is a buffer; it cannot fail.
	_, _ = io.WriteString(f, redacted)
}
