package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// ReadMetadata reads what an image says of itself: the JSON file whose URL is
// the image's with ".json" appended to its path. A missing file is no error.
func ReadMetadata(ctx context.Context, src Source) (Metadata, error) {
	if err := src.Validate(); err != nil {
		return Metadata{}, err
	}
	return readMetadata(ctx, nil, src)
}

func readMetadata(ctx context.Context, client *http.Client, src Source) (Metadata, error) {
	u, err := url.Parse(src.URL)
	if err != nil {
		return Metadata{}, fmt.Errorf("parsing image URL: %w", err)
	}
	u.Path, u.RawPath = u.Path+".json", ""
	body, err := openSidecar(ctx, client, u)
	if body == nil || err != nil {
		return Metadata{}, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, metadataLimit+1))
	if err != nil {
		return Metadata{}, fmt.Errorf("reading image metadata %q: %w", u.Redacted(), err)
	}
	var m Metadata
	if len(b) > metadataLimit {
		err = errors.New("larger than 1 MiB")
	} else {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return Metadata{}, &fault.Error{Class: fault.NeedsPerson, Subject: src.subject(), Attribute: "image.url",
			Summary: "the image's metadata cannot be used", Seen: err.Error(),
			Expected: "a small JSON object, or no file at all, at " + redact(u.String()),
			Advice:   "correct or remove the metadata file beside the image", Err: err}
	}
	return m, nil
}

// openSidecar gives nil when there is none.
func openSidecar(ctx context.Context, client *http.Client, u *url.URL) (io.ReadCloser, error) {
	if u.Scheme == "file" {
		f, err := os.Open(u.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading image metadata: %w", err)
		}
		return f, nil
	}
	if client == nil {
		client = http.DefaultClient
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("reading image metadata: %w", err)
	}
	resp, err := client.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if err != nil {
		return nil, fmt.Errorf("reading image metadata %q: %w", redact(u.String()), err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	_ = resp.Body.Close() // not read
	// Object stores answer 403 for a missing object when listing is forbidden.
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden:
		return nil, nil
	}
	return nil, fmt.Errorf("reading image metadata %q: HTTP %s", redact(u.String()), resp.Status)
}
