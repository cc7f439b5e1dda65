package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// tooManyErrors ends a caller: a broken relay should not fill the report.
const tooManyErrors = 50

// Load is what a caller does again and again.
type Load func(ctx context.Context, times *Times) error

// Plan says how many callers there are, and when they are done: after Count loads, or without it after Length.
type Plan struct {
	Callers int
	Length  time.Duration
	Count   int
}

// Outcome is what all callers have seen together.
type Outcome struct {
	times   *Times
	elapsed time.Duration
}

// Add counts what somebody beside the callers has seen.
func (o *Outcome) Add(times *Times) { o.times.add(times) }

// Loop runs the callers until the time or the count is used up.
func Loop(ctx context.Context, plan Plan, do Load) Outcome {
	var taken atomic.Int64
	begin := time.Now()
	more := func() bool {
		if plan.Count > 0 {
			return taken.Add(1) <= int64(plan.Count)
		}
		return time.Since(begin) < plan.Length
	}
	each := make([]*Times, plan.Callers)
	var running sync.WaitGroup
	for i := range each {
		each[i] = NewTimes()
		running.Go(func() { caller(ctx, more, do, each[i]) })
	}
	running.Wait()
	all := Outcome{times: NewTimes(), elapsed: time.Since(begin)}
	for _, times := range each {
		all.times.add(times)
	}
	return all
}

func caller(ctx context.Context, more func() bool, do Load, times *Times) {
	for times.errors < tooManyErrors && more() {
		begin := time.Now()
		if err := do(ctx, times); err != nil {
			times.Fail(err)
			continue
		}
		times.whole = append(times.whole, time.Since(begin))
	}
}

// Result is one line of JSON about an outcome.
type Result struct {
	Mode     string  `json:"mode"`
	Callers  int     `json:"callers"`
	Done     int     `json:"done"`
	ElapsedS float64 `json:"elapsed_s"`
	PerS     float64 `json:"per_s"`
	Percentiles
	Calls   map[string]Percentiles `json:"calls"`
	Made    int                    `json:"calls_made"`
	Errors  int                    `json:"errors"`
	Example string                 `json:"first_error,omitempty"`
}

// Report sums an outcome up.
func Report(mode string, plan Plan, all Outcome) Result {
	times := all.times
	r := Result{
		Mode: mode, Callers: plan.Callers, Done: len(times.whole), ElapsedS: all.elapsed.Seconds(),
		PerS: float64(len(times.whole)) / all.elapsed.Seconds(), Percentiles: spread(times.whole),
		Calls: map[string]Percentiles{}, Errors: times.errors, Example: times.example,
	}
	for name, durations := range times.calls {
		r.Made += len(durations)
		r.Calls[name] = spread(durations)
	}
	return r
}
