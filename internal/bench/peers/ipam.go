package main

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"time"

	"github.com/metal-stack/go-ipam"
)

// spanTime is the longest that one span is filled.
const spanTime = 6 * time.Second

var spans = []struct {
	name     string
	from, to int
}{{"first 100", 0, 100}, {"100 to 1,000", 100, 1000}, {"1,000 to 10,000", 1000, 10000}, {"10,000 to 60,000", 10000, 60000}}

// ipamClaims fills one pool in memory and prints claims per second.
func ipamClaims(ctx context.Context, cidr string) error {
	before := heap()
	pool := ipam.NewWithStorage(ipam.NewMemory(ctx))
	if _, err := pool.NewPrefix(ctx, cidr); err != nil {
		return err
	}
	rates := map[string]float64{}
	claimed := 0
	for _, span := range spans {
		began := time.Now()
		for claimed < span.to && time.Since(began) < spanTime {
			if _, err := pool.AcquireIP(ctx, cidr); err != nil {
				return err
			}
			claimed++
		}
		rates[span.name] = float64(claimed-span.from) / time.Since(began).Seconds()
		if claimed < span.to {
			break
		}
	}
	result := map[string]any{"rates": rates, "heap": float64(heap()-before) / float64(claimed)}
	runtime.KeepAlive(pool)
	return json.NewEncoder(os.Stdout).Encode(result)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
