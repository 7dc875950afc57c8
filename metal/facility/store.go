package facility

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// The store's buckets. Keys are names, values JSON.
var (
	bucketSite     = []byte("site")
	bucketHosts    = []byte("hosts")
	bucketClusters = []byte("clusters")
	bucketImages   = []byte("images")
	// bucketReleased holds the names of hosts that were given back: what a front
	// end still remembers of them does not count.
	bucketReleased = []byte("released")
)

// store is the facility's durable cache and work journal. It holds the private
// keys of clusters and of the installer service, so it is readable by its owner
// only.
type store struct{ db *bbolt.DB }

// openTimeout is how long another process may hold the store: a provider that
// is just ending, say.
const openTimeout = 5 * time.Second

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder %q: %w", dir, err)
	}
	path := filepath.Join(dir, "facility.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openTimeout})
	if errors.Is(err, bbolt.ErrTimeout) {
		return nil, &fault.Error{Class: fault.Retryable, Attribute: "agent", Summary: "the facility's state is in use by another process",
			Seen: path + " is locked", Expected: "one process at a time", Advice: "wait for the other run to end, or share an agent: agent = \"unix:///...\"", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the facility's state %q: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{bucketSite, bucketHosts, bucketClusters, bucketImages, bucketReleased} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the facility's state %q: %w", path, err), db.Close())
	}
	return &store{db: db}, nil
}

func (s *store) put(bucket []byte, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %q: %w", key, err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), raw) })
	if err != nil {
		return fmt.Errorf("saving %q: %w", key, err)
	}
	return nil
}

// get decodes into value; false when there is nothing under key.
func (s *store) get(bucket []byte, key string, value any) (bool, error) {
	var raw []byte
	err := s.db.View(func(tx *bbolt.Tx) error {
		raw = append(raw, tx.Bucket(bucket).Get([]byte(key))...)
		return nil
	})
	if err != nil || raw == nil {
		return false, err
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return false, fmt.Errorf("decoding %q: %w", key, err)
	}
	return true, nil
}

func (s *store) remove(bucket []byte, key string) error {
	err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete([]byte(key)) })
	if err != nil {
		return fmt.Errorf("removing %q: %w", key, err)
	}
	return nil
}

// each calls f with every key and value of the bucket.
func (s *store) each(bucket []byte, f func(key string, raw []byte) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error { return f(string(k), v) })
	})
}

// SaveHost implements host.Store.
func (s *store) SaveHost(r host.Record) error { return s.put(bucketHosts, r.Spec.Name, r) }

// RemoveHost implements host.Store. That the host was released is remembered
// until it is applied again.
func (s *store) RemoveHost(name string) error {
	if err := s.put(bucketReleased, name, true); err != nil {
		return err
	}
	return s.remove(bucketHosts, name)
}

// released tells whether a host of that name was given back.
func (s *store) released(name string) (bool, error) {
	var released bool
	return s.get(bucketReleased, name, &released)
}

// Hosts implements host.Store.
func (s *store) Hosts() ([]host.Record, error) {
	var out []host.Record
	err := s.each(bucketHosts, func(key string, raw []byte) error {
		var r host.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("decoding host %q: %w", key, err)
		}
		out = append(out, r)
		return nil
	})
	return out, err
}
