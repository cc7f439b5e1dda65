package main

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// tooManyErrors ends a caller: a broken relay should not fill the report.
const tooManyErrors = 50

// latencies belongs to one caller, so that noting one takes no lock.
type latencies struct {
	whole   []time.Duration
	calls   map[string][]time.Duration
	errors  int
	example string
}

func newLatencies() *latencies { return &latencies{calls: map[string][]time.Duration{}} }

func (l *latencies) note(name string, took time.Duration) {
	l.calls[name] = append(l.calls[name], took)
}

func (l *latencies) fail(err error) {
	l.errors++
	if l.example == "" {
		l.example = err.Error()
	}
}

func (l *latencies) add(other *latencies) {
	l.whole = append(l.whole, other.whole...)
	for name, times := range other.calls {
		l.calls[name] = append(l.calls[name], times...)
	}
	l.errors += other.errors
	if l.example == "" {
		l.example = other.example
	}
}

type outcome struct {
	latencies *latencies
	elapsed   time.Duration
}

// loop runs the callers until the time or the count is used up.
func loop(ctx context.Context, o options, call load) outcome {
	var taken atomic.Int64
	begin := time.Now()
	more := func() bool {
		if o.count > 0 {
			return taken.Add(1) <= int64(o.count)
		}
		return time.Since(begin) < o.length
	}
	each := make([]*latencies, o.callers)
	var running sync.WaitGroup
	for i := range each {
		each[i] = newLatencies()
		running.Go(func() { caller(ctx, more, call, each[i]) })
	}
	running.Wait()
	all := outcome{latencies: newLatencies(), elapsed: time.Since(begin)}
	for _, times := range each {
		all.latencies.add(times)
	}
	return all
}

func caller(ctx context.Context, more func() bool, call load, times *latencies) {
	for times.errors < tooManyErrors && more() {
		begin := time.Now()
		if err := call(ctx, times); err != nil {
			times.fail(err)
			continue
		}
		times.whole = append(times.whole, time.Since(begin))
	}
}

type percentiles struct {
	P50ms float64 `json:"p50_ms"`
	P90ms float64 `json:"p90_ms"`
	P99ms float64 `json:"p99_ms"`
	MaxMs float64 `json:"max_ms"`
}

type result struct {
	Mode     string  `json:"mode"`
	Callers  int     `json:"callers"`
	Done     int     `json:"done"`
	ElapsedS float64 `json:"elapsed_s"`
	PerS     float64 `json:"per_s"`
	percentiles
	Calls   map[string]percentiles `json:"calls"`
	Made    int                    `json:"calls_made"`
	Errors  int                    `json:"errors"`
	Example string                 `json:"first_error,omitempty"`
}

func report(o options, all outcome) result {
	times := all.latencies
	r := result{
		Mode: o.mode, Callers: o.callers, Done: len(times.whole), ElapsedS: all.elapsed.Seconds(),
		PerS: float64(len(times.whole)) / all.elapsed.Seconds(), percentiles: spread(times.whole),
		Calls: map[string]percentiles{}, Errors: times.errors, Example: times.example,
	}
	for name, durations := range times.calls {
		r.Made += len(durations)
		r.Calls[name] = spread(durations)
	}
	return r
}

func spread(durations []time.Duration) percentiles {
	if len(durations) == 0 {
		return percentiles{}
	}
	slices.Sort(durations)
	at := func(share float64) float64 {
		index := int(math.Round(share * float64(len(durations)-1)))
		return float64(durations[index].Nanoseconds()) / 1e6
	}
	return percentiles{P50ms: at(0.5), P90ms: at(0.9), P99ms: at(0.99), MaxMs: at(1)}
}
