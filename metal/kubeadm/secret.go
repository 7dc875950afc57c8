package kubeadm

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a byte string that no formatting verb and no logger shows. Its JSON
// form is that of a byte slice, for a store that keeps secrets.
type Secret []byte

// Format implements fmt.Formatter for every verb.
func (Secret) Format(s fmt.State, _ rune) { writeRedacted(s, redacted) }

// String gives a placeholder.
func (Secret) String() string { return redacted }

// LogValue gives a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// writeRedacted writes to a fmt.State, whose Write cannot fail.
func writeRedacted(w io.Writer, text string) { _, _ = io.WriteString(w, text) }
