package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

var memoryRows = []row{
	{"parked_bytes", "bytes", parkedBytes},
	{"asleep_bytes", "bytes", asleepBytes},
}

// bytesEach starts count goroutines, waits until all have come to their wait, and reports resident bytes for each.
func bytesEach(count int, task func(started *atomic.Int64)) report {
	time.Sleep(10 * time.Millisecond)
	var started atomic.Int64
	before := residentBytes()
	m := startMeter()
	for i := range count {
		go task(&started)
		if i%1_000 == 0 {
			runtime.Gosched()
		}
	}
	for started.Load() < int64(count) {
		runtime.Gosched()
	}
	time.Sleep(50 * time.Millisecond)
	s := m.stop()
	return s.report(float64(residentBytes()-before) / float64(count))
}

func parkedBytes(c config) report {
	count := c.count(1_000_000)
	event := make(chan struct{})
	var woken atomic.Int64
	woken.Store(int64(count))
	allWoken := oneshot[struct{}]()
	r := bytesEach(count, func(started *atomic.Int64) {
		started.Add(1)
		<-event
		if woken.Add(-1) == 0 {
			allWoken <- struct{}{}
		}
	})
	close(event)
	<-allWoken
	return r
}

func asleepBytes(c config) report {
	return bytesEach(c.count(1_000_000), func(started *atomic.Int64) {
		started.Add(1)
		time.Sleep(time.Hour)
		panic("the run ends long before")
	})
}
