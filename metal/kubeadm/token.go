package kubeadm

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
)

// Token is a bootstrap token, "id.secret". It is shown without its secret half.
type Token string

var tokenPattern = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)

// NewToken makes a bootstrap token from rand, each character equally likely.
func NewToken(rand io.Reader) (Token, error) {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, 22)
	var b [32]byte
	for len(out) < 22 {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return "", fmt.Errorf("making a bootstrap token: %w", err)
		}
		for _, c := range b {
			// 252 is the largest multiple of 36 in a byte: no bias.
			if c < 252 && len(out) < 22 {
				out = append(out, alphabet[c%36])
			}
		}
	}
	return Token(string(out[:6]) + "." + string(out[6:])), nil
}

// Valid says whether the token has the form that kubeadm wants.
func (t Token) Valid() bool { return tokenPattern.MatchString(string(t)) }

// ID is the public half; empty for a token that is not Valid.
func (t Token) ID() string {
	if !t.Valid() {
		return ""
	}
	return string(t)[:6]
}

// Reveal gives the whole token, for documents.
func (t Token) Reveal() string { return string(t) }

// SecretHalf is what follows the dot; empty for a token that is not Valid.
func (t Token) SecretHalf() string {
	if !t.Valid() {
		return ""
	}
	return string(t)[7:]
}

// Format implements fmt.Formatter for every verb.
func (t Token) Format(s fmt.State, _ rune) { writeRedacted(s, t.String()) }

// String gives the ID and a placeholder.
func (t Token) String() string { return t.ID() + "." + redacted }

// LogValue gives the ID and a placeholder.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
