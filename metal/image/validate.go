package image

import (
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// The formats of an image.
const (
	Raw  = "raw"
	Zstd = "zstd"
	Gzip = "gzip"
)

// Validate checks the source without touching the network or the disk. A fault
// names the attribute below "image".
func (s Source) Validate() error {
	u, err := url.Parse(s.URL)
	if err != nil {
		return fault.Invalid("image.url", "the image URL cannot be parsed", err.Error(), "https://, http:// or file://")
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return fault.Invalid("image.url", "the image URL has no host", u.Redacted(), "https://host/path")
		}
	case "file":
		if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
			return fault.Invalid("image.url", "the image path is not absolute", s.URL, "file:///absolute/path")
		}
	default:
		return fault.Invalid("image.url", "the image URL has an unknown scheme", u.Redacted(), "https://, http:// or file://")
	}
	if b, err := hex.DecodeString(s.SHA256); err != nil || len(b) != 32 {
		return fault.Invalid("image.sha256", "the image digest is not a SHA-256", s.SHA256, "64 hexadecimal digits")
	}
	switch s.Format {
	case "", Raw, Zstd, Gzip:
		return nil
	}
	return fault.Invalid("image.format", "the image format is not known", s.Format, "raw, zstd or gzip")
}

// digest is the expected digest in lower case.
func (s Source) digest() string { return strings.ToLower(s.SHA256) }

// subject is how faults name the image; a password in the URL is left out.
func (s Source) subject() string {
	if u, err := url.Parse(s.URL); err == nil {
		return `image "` + u.Redacted() + `"`
	}
	return `image "` + s.URL + `"`
}

// DetectFormat tells the format from an image's first bytes: the magic numbers
// of zstd (RFC 8878 section 3.1.1, also a skippable frame) and gzip (RFC 1952
// section 2.3.1); everything else is raw.
func DetectFormat(head []byte) string {
	if len(head) < 4 {
		return Raw
	}
	switch {
	case head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd,
		head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18:
		return Zstd
	case head[0] == 0x1f && head[1] == 0x8b && head[2] == 8:
		return Gzip
	}
	return Raw
}
