package sim

import (
	"bytes"
	"context"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

const (
	// fetchTimeout bounds the download of a boot file.
	fetchTimeout = 2 * time.Minute
	// maxImage bounds its size, and maxCmdline the section that is kept.
	maxImage   = 1 << 30
	maxCmdline = 1 << 20
)

// fetchCmdline does what UEFI HTTP boot does with a URI (UEFI 2.10, 24.7): it
// asks for the size, then fetches the file. Of a unified kernel image only the
// kernel command line matters here.
func fetchCmdline(ctx context.Context, uri string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	head, err := request(ctx, client, http.MethodHead, uri)
	if err != nil {
		return "", err
	}
	head.Body.Close()
	if head.ContentLength <= 0 || head.ContentLength > maxImage {
		return "", fmt.Errorf("fetching boot file: length %d is not usable", head.ContentLength)
	}
	got, err := request(ctx, client, http.MethodGet, uri)
	if err != nil {
		return "", err
	}
	defer got.Body.Close()
	cmdline, err := readCmdline(&streamAt{body: io.LimitReader(got.Body, maxImage)})
	if err != nil {
		return "", err
	}
	// A firmware loads the whole file before it starts it.
	if _, err := io.Copy(io.Discard, got.Body); err != nil {
		return "", fmt.Errorf("fetching boot file: %w", err)
	}
	return cmdline, nil
}

func request(ctx context.Context, client *http.Client, method, uri string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, uri, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching boot file: %w", err)
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("fetching boot file: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("fetching boot file: %s: status %s", method, response.Status)
	}
	return response, nil
}

// readCmdline gives the kernel command line of a unified kernel image.
func readCmdline(image io.ReaderAt) (string, error) {
	file, err := pe.NewFile(image)
	if err != nil {
		return "", fmt.Errorf("parsing boot file: %w", err)
	}
	section := file.Section(".cmdline")
	if section == nil || section.Offset == 0 || section.Size > maxCmdline {
		return "", errors.New("parsing boot file: it has no usable section .cmdline")
	}
	text := make([]byte, min(section.Size, section.VirtualSize))
	if _, err := image.ReadAt(text, int64(section.Offset)); err != nil {
		return "", fmt.Errorf("parsing boot file: reading section .cmdline: %w", err)
	}
	return string(bytes.TrimRight(text, " \x00\n")), nil
}

// streamAt gives random access to the part of a stream that was read so far,
// and reads on as needed.
type streamAt struct {
	body io.Reader
	seen bytes.Buffer
}

func (s *streamAt) ReadAt(p []byte, offset int64) (int, error) {
	need := offset + int64(len(p)) - int64(s.seen.Len())
	if offset < 0 || need > maxImage {
		return 0, fmt.Errorf("reading %d bytes at %d: out of range", len(p), offset)
	}
	if need > 0 {
		if _, err := io.CopyN(&s.seen, s.body, need); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	have := s.seen.Bytes()
	if offset >= int64(len(have)) {
		return 0, io.EOF
	}
	n := copy(p, have[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// bootDevices gives what to try, in order: the override, then the boot order.
func bootDevices(h bmc.Hardware, boot bmc.Boot) []string {
	var devices []string
	switch boot.Target {
	case bmc.TargetUefiHTTP:
		devices = append(devices, boot.URI)
	case bmc.TargetHdd:
		for _, disk := range h.Disks {
			devices = append(devices, disk.ID)
		}
	}
	return append(devices, boot.Order...)
}
