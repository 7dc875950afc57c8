//go:build endtoend

package endtoend

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// lines is a growing set of lines.
type lines struct {
	mu  sync.Mutex
	set map[string]bool
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set == nil {
		l.set = map[string]bool{}
	}
	l.set[line] = true
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]string, 0, len(l.set))
	for line := range l.set {
		all = append(all, line)
	}
	return strings.Join(all, "\n")
}

// watchProcesses keeps every command line that is seen, until it is stopped.
func watchProcesses(t *testing.T, into *lines) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			find(t, func(_ int, cmdline []string) bool { into.add(strings.Join(cmdline, " ")); return false })
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// clusterSecrets takes what must not be found anywhere else out of a copy of the
// agent's store: the bootstrap token and lines of the private keys.
func clusterSecrets(t *testing.T, store string) []string {
	t.Helper()
	raw, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "facility.db")
	if err := os.WriteFile(copied, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(copied, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a copy
	var found []string
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("clusters")).ForEach(func(_, v []byte) error {
			var record any
			if err := json.Unmarshal(v, &record); err != nil {
				return err
			}
			collect(record, "", &found)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// collect walks a record for strings that are secrets by their name or form.
func collect(v any, name string, into *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			collect(x, k, into)
		}
	case []any:
		for _, x := range v {
			collect(x, name, into)
		}
	case string:
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil && strings.Contains(string(raw), "PRIVATE KEY") {
			*into = append(*into, v[64:128])
			v = string(raw)
		}
		if strings.Contains(v, "PRIVATE KEY") {
			*into = append(*into, strings.Split(v, "\n")[1])
		} else if strings.Contains(strings.ToLower(name), "token") && len(v) >= 16 {
			*into = append(*into, v)
		}
	}
}
