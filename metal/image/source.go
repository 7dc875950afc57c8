package image

// Source names an image and its digest.
type Source struct {
	// URL is "https://", "http://" or "file://" (a path on the agent's machine).
	URL string `json:"url"`
	// SHA256 is the digest, in hex, of the bytes at URL (compressed, if the
	// file is).
	SHA256 string `json:"sha256"`
	// Format is "raw", "zstd" or "gzip"; empty: by the file's magic number.
	Format string `json:"format,omitempty"`
}

// Metadata is what an image says of itself in a JSON file beside it, whose URL
// is the image's with ".json" appended. All of it is optional, also the file.
type Metadata struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	// Kubernetes is the version whose binaries and images it carries: "v1.36.4".
	Kubernetes string `json:"kubernetes,omitempty"`
	// RawSizeBytes is the size after decompression.
	RawSizeBytes int64 `json:"raw_size_bytes,omitempty"`
	// DefaultUser gets the SSH keys.
	DefaultUser string `json:"default_user,omitempty"`
}
