package main

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

var timeRows = []row{
	{"timeout", "ns", timeout},
	{"sleep_100us", "us", func(c config) report { return sleeps(c, 100*time.Microsecond) }},
	{"sleep_1ms", "us", func(c config) report { return sleeps(c, time.Millisecond) }},
	{"sleeps_1m", "ms", sleeps1m},
	{"ticker_loaded", "us", tickerLoaded},
	{"ticker_blocked", "ms", func(c config) report { return tickerStalled(c, 5, threadSleep) }},
	{"ticker_busy", "ms", func(c config) report { return tickerStalled(c, 10, func() { spin(100 * time.Millisecond) }) }},
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// threadSleep puts the thread to sleep for 200 ms by the system call, not by Go's timer.
func threadSleep() {
	left := syscall.NsecToTimespec(int64(200 * time.Millisecond))
	for syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}

func timeout(c config) report {
	timeouts := func(count int) {
		for range count {
			t := time.NewTimer(time.Second)
			runtime.Gosched()
			assert(t.Stop(), "the timer had not fired")
		}
	}
	count := c.count(1_000_000)
	timeouts((count + 9) / 10)
	m := startMeter()
	timeouts(count)
	return m.stop().nsEach(count)
}

func sleeps(c config, d time.Duration) report {
	lateness := func(count int) []float64 {
		late := make([]float64, 0, count)
		for range count {
			start := time.Now()
			time.Sleep(d)
			slept := time.Since(start)
			assert(slept >= d, "no sleep ends early")
			late = append(late, micros(slept-d))
		}
		return late
	}
	count := c.count(1_000)
	lateness((count + 9) / 10)
	m := startMeter()
	late := lateness(count)
	s := m.stop()
	return s.report(percentile(late, 0.5)).with("p99_us", percentile(late, 0.99))
}

func sleeps1m(c config) report {
	count := c.count(1_000_000)
	late := make([]float64, count)
	var left atomic.Int64
	left.Store(int64(count))
	allDone := oneshot[struct{}]()
	random := uint64(1)
	m := startMeter()
	for i := range count {
		random = random*6_364_136_223_846_793_005 + 1_442_695_040_888_963_407
		d := time.Duration(500_000+(random>>33)%1_000_000) * time.Microsecond
		spawned := time.Now()
		go func() {
			time.Sleep(d)
			late[i] = micros(time.Since(spawned)-d) / 1e3
			if left.Add(-1) == 0 {
				allDone <- struct{}{}
			}
		}()
	}
	<-allDone
	s := m.stop()
	assert(percentile(late, 0) > 0, "every goroutine has slept")
	return s.report(percentile(late, 0.99)).with("p50_ms", percentile(late, 0.5))
}

// ticks keeps a fixed schedule until over, asked with the number done and the next one's time: how late each tick was,
// in microseconds.
func ticks(over func(done int, next time.Time) bool) (late []float64) {
	const period = time.Millisecond
	for due := time.Now().Add(period); !over(len(late), due); due = due.Add(period) {
		time.Sleep(time.Until(due))
		late = append(late, micros(time.Since(due)))
	}
	return late
}

func tickerLoaded(c config) report {
	count := c.count(2_000)
	var over atomic.Bool
	for range 200 {
		go func() {
			for !over.Load() {
				spin(50 * time.Microsecond)
				runtime.Gosched()
			}
		}()
	}
	ticks(func(done int, _ time.Time) bool { return done >= (count+9)/10 })
	m := startMeter()
	late := ticks(func(done int, _ time.Time) bool { return done >= count })
	s := m.stop()
	over.Store(true)
	return s.report(percentile(late, 0.99)).with("p50_us", percentile(late, 0.5))
}

func tickerStalled(c config, times int, stall func()) report {
	times = c.count(times)
	ticks(func(done int, _ time.Time) bool { return done >= 20 })
	var stalling atomic.Int64
	stalling.Store(int64(c.workers))
	m := startMeter()
	for range c.workers {
		go func() {
			for range times {
				stall()
				runtime.Gosched()
			}
			stalling.Add(-1)
		}()
	}
	late := ticks(func(_ int, next time.Time) bool { return stalling.Load() == 0 && next.After(time.Now()) })
	s := m.stop()
	return s.report(percentile(late, 0.99)/1e3).
		with("p50_ms", percentile(late, 0.5)/1e3).
		with("ticks", float64(len(late)))
}
