package agentcmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
)

// credentialsDir resolves names to DIR/NAME/username and DIR/NAME/password, the
// layout of mounted Kubernetes secrets. Files are read when they are asked for,
// so that a changed password needs no restart, and never from outside DIR.
type credentialsDir struct {
	root   *os.Root
	logger hclog.Logger
}

// credentialName keeps hidden files and separators out.
var credentialName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)

// maxCredential bounds each file; Redfish and IPMI take far less.
const maxCredential = 4096

func openCredentials(dir string, logger hclog.Logger) (*credentialsDir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening credentials directory %q: %w", dir, err)
	}
	return &credentialsDir{root: root, logger: logger}, nil
}

func (d *credentialsDir) close() {
	if err := d.root.Close(); err != nil {
		d.logger.Warn("closing the credentials directory", "error", err)
	}
}

// find is facility.Options.Credentials.
func (d *credentialsDir) find(name string) (facility.Credentials, bool) {
	var c facility.Credentials
	if !credentialName.MatchString(name) {
		return c, false
	}
	username, err := d.read(name + "/username")
	if err == nil {
		c.Username = username
		c.Password, err = d.read(name + "/password")
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.logger.Warn("credentials cannot be used", "name", name, "error", err)
		}
		return facility.Credentials{}, false
	}
	return c, true
}

// read gives a file without the line break that editors put at its end. A file
// that everybody may read is refused, as ssh does with keys.
func (d *credentialsDir) read(path string) (string, error) {
	file, err := d.root.Open(path)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxCredential+1))
	info, statErr := file.Stat()
	if err := errors.Join(err, statErr, file.Close()); err != nil {
		return "", fmt.Errorf("reading %q: %w", path, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("file %q has mode %s, expected none for others, such as 0600", path, info.Mode())
	}
	if len(data) > maxCredential {
		return "", fmt.Errorf("file %q has more than %d bytes", path, maxCredential)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("file %q is empty", path)
	}
	return text, nil
}
