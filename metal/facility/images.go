package facility

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/image"
)

// images serves verified image files to installers, below /images/<sha256>. What
// is served is remembered, so that a restarted agent goes on serving it to the
// installers that are in the middle of it.
type images struct {
	store *store
	dir   string
	mu    sync.Mutex
	paths map[string]string // by digest
}

const imagesPath = "/images/"

func newImages(st *store, dir string) *images {
	i := &images{store: st, dir: dir, paths: map[string]string{}}
	_ = st.each(bucketImages, func(digest string, raw []byte) error {
		var p string
		if json.Unmarshal(raw, &p) == nil { // a record that cannot be read is made again by prepare
			i.paths[digest] = p
		}
		return nil
	})
	return i
}

// prepare fetches and verifies an image; afterwards it is served.
func (i *images) prepare(ctx context.Context, src image.Source) (image.Local, error) {
	local, err := image.Fetch(ctx, src, i.dir)
	if err != nil {
		return image.Local{}, err
	}
	i.mu.Lock()
	i.paths[local.SHA256] = local.Path
	i.mu.Unlock()
	return local, i.store.put(bucketImages, local.SHA256, local.Path)
}

// ServeHTTP serves files by digest, with ranges.
func (i *images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	digest, ok := strings.CutPrefix(path.Clean(r.URL.Path), imagesPath)
	i.mu.Lock()
	file := i.paths[digest]
	i.mu.Unlock()
	if !ok || file == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"`+digest+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeFile(w, r, file)
}

// forget drops downloaded images and the memory of served ones.
func (i *images) forget() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []error
	for digest := range i.paths {
		all = append(all, i.store.remove(bucketImages, digest))
	}
	i.paths = map[string]string{}
	if err := os.RemoveAll(i.dir); err != nil {
		all = append(all, fmt.Errorf("removing downloaded images: %w", err))
	}
	return errors.Join(all...)
}

// deploymentImage is the image as installers are told of it.
func deploymentImage(base string, l image.Local) host.DeploymentImage {
	return host.DeploymentImage{URL: base + imagesPath + l.SHA256, SHA256: l.SHA256, SizeBytes: l.SizeBytes,
		RawSizeBytes: l.Metadata.RawSizeBytes, Format: l.Format}
}
