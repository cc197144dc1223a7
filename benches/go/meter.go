package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

// meter stands around a timed section.
type meter struct {
	started time.Time
	usage   syscall.Rusage
}

// span is a timed section that has ended.
type span struct {
	wall, cpu              time.Duration
	voluntary, involuntary int64
}

// report is what a load found out.
type report struct {
	value float64
	span  span
	extra map[string]float64
}

func startMeter() (m meter) {
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &m.usage))
	m.started = time.Now()
	return m
}

func (m meter) stop() span {
	wall := time.Since(m.started)
	var after syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	cpu := func(u syscall.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }
	return span{wall, cpu(after) - cpu(m.usage), after.Nvcsw - m.usage.Nvcsw, after.Nivcsw - m.usage.Nivcsw}
}

func (s span) nsEach(count int) report {
	return s.report(float64(s.wall.Nanoseconds()) / float64(count))
}

func (s span) usEach(count int) report {
	return s.report(float64(s.wall.Nanoseconds()) / 1e3 / float64(count))
}

func (s span) report(value float64) report {
	return report{value: value, span: s, extra: map[string]float64{}}
}

func (r report) with(name string, value float64) report {
	r.extra[name] = value
	return r
}

func residentBytes() int64 {
	var size, resident int64
	statm, err := os.ReadFile("/proc/self/statm")
	must(err)
	_, err = fmt.Sscan(string(statm), &size, &resident)
	must(err)
	return resident * int64(os.Getpagesize())
}

func peakResidentBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	must(err)
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int64
	_, err = fmt.Sscan(string(after), &kib)
	must(err)
	return kib * 1024
}
