// Package load is what the load generators have in common: callers in a closed loop, and what they have seen.
package load

import (
	"math"
	"slices"
	"time"
)

// Times belongs to one caller, so that noting one takes no lock.
type Times struct {
	whole   []time.Duration
	calls   map[string][]time.Duration
	errors  int
	example string
}

// NewTimes has seen nothing yet.
func NewTimes() *Times { return &Times{calls: map[string][]time.Duration{}} }

// Note remembers how long one call took.
func (t *Times) Note(name string, took time.Duration) {
	t.calls[name] = append(t.calls[name], took)
}

// Fail remembers that something has failed, and the first error.
func (t *Times) Fail(err error) {
	t.errors++
	if t.example == "" {
		t.example = err.Error()
	}
}

func (t *Times) add(other *Times) {
	t.whole = append(t.whole, other.whole...)
	for name, times := range other.calls {
		t.calls[name] = append(t.calls[name], times...)
	}
	t.errors += other.errors
	if t.example == "" {
		t.example = other.example
	}
}

// Percentiles of some durations.
type Percentiles struct {
	P50ms float64 `json:"p50_ms"`
	P90ms float64 `json:"p90_ms"`
	P99ms float64 `json:"p99_ms"`
	MaxMs float64 `json:"max_ms"`
}

func spread(durations []time.Duration) Percentiles {
	if len(durations) == 0 {
		return Percentiles{}
	}
	slices.Sort(durations)
	at := func(share float64) float64 {
		index := int(math.Round(share * float64(len(durations)-1)))
		return float64(durations[index].Nanoseconds()) / 1e6
	}
	return Percentiles{P50ms: at(0.5), P90ms: at(0.9), P99ms: at(0.99), MaxMs: at(1)}
}
