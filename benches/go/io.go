package main

import (
	"io"
	"net"
	"sync"
	"time"
)

var ioRows = []row{
	{"echo_1", "us", func(c config) report { return echo(c, 1, 30_000) }},
	{"echo_100", "us", func(c config) report { return echo(c, 100, 1_000) }},
	{"writes_64k", "GB/s", writes64k},
	{"connect", "us", connect},
	{"low_load", "ms", lowLoad},
	{"fork", "ms", fork},
}

const message = 64

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	return listener
}

// dial connects; TCP_NODELAY is Go's default.
func dial(address string) net.Conn {
	conn, err := net.Dial("tcp", address)
	must(err)
	return conn
}

func serve(listener net.Listener, handle func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		must(err)
		go handle(conn)
	}
}

// echoed starts an echo server and connects to it.
func echoed(connections int) []net.Conn {
	listener := listen()
	go serve(listener, func(conn net.Conn) {
		defer conn.Close()
		buffer := make([]byte, message)
		for {
			count, err := conn.Read(buffer)
			if err == io.EOF {
				return
			}
			must(err)
			_, err = conn.Write(buffer[:count])
			must(err)
		}
	})
	conns := make([]net.Conn, connections)
	for i := range conns {
		conns[i] = dial(listener.Addr().String())
	}
	return conns
}

// exchange makes so many round trips.
func exchange(conn net.Conn, trips int) {
	var sent, received [message]byte
	for i := range trips {
		for j := range sent {
			sent[j] = byte(i)
		}
		_, err := conn.Write(sent[:])
		must(err)
		_, err = io.ReadFull(conn, received[:])
		must(err)
		assert(sent == received, "echo")
	}
}

func echo(c config, connections, trips int) report {
	conns := echoed(connections)
	clients := func(trips int) {
		var wg sync.WaitGroup
		for _, conn := range conns {
			wg.Go(func() { exchange(conn, trips) })
		}
		wg.Wait()
	}
	trips = c.count(trips)
	clients((trips + 9) / 10)
	m := startMeter()
	clients(trips)
	return m.stop().usEach(connections * trips)
}

func writes64k(c config) report {
	const size = 64 * 1024
	listener := listen()
	transfer := func(chunks int) {
		var wg sync.WaitGroup
		wg.Go(func() {
			chunk := make([]byte, size)
			for i := range chunk {
				chunk[i] = 7
			}
			conn := dial(listener.Addr().String())
			defer conn.Close()
			for range chunks {
				_, err := conn.Write(chunk)
				must(err)
			}
		})
		conn, err := listener.Accept()
		must(err)
		defer conn.Close()
		buffer, total := make([]byte, size), 0
		for {
			count, err := conn.Read(buffer)
			if err == io.EOF {
				break
			}
			must(err)
			total += count
		}
		wg.Wait()
		assert(total == chunks*size && buffer[0] == 7, "all bytes arrived")
	}
	chunks := c.count(3_000_000_000 / size)
	transfer((chunks + 19) / 20)
	m := startMeter()
	transfer(chunks)
	s := m.stop()
	return s.report(float64(chunks*size) / float64(s.wall.Nanoseconds()))
}

func connect(c config) report {
	const clients = 4
	listener := listen()
	go serve(listener, func(conn net.Conn) {
		defer conn.Close()
		var one [1]byte
		_, err := io.ReadFull(conn, one[:])
		must(err)
		assert(one[0] == 42, "the byte")
	})
	all := func(each int) {
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for range each {
					conn := dial(listener.Addr().String())
					_, err := conn.Write([]byte{42})
					must(err)
					_, err = conn.Read(make([]byte, 1))
					assert(err == io.EOF, "the server closes")
					conn.Close()
				}
			})
		}
		wg.Wait()
	}
	each := c.count(4_000 / clients)
	all((each + 9) / 10)
	m := startMeter()
	all(each)
	return m.stop().usEach(clients * each)
}

func lowLoad(c config) report {
	const period, sleepers, connections = 10 * time.Millisecond, 10, 5
	conns := echoed(connections)
	periods := func(count int) {
		var wg sync.WaitGroup
		start := time.Now()
		// beats calls each at the end of every period; the goroutines' begin one after the other.
		beats := func(index, of int, each func()) {
			first := start.Add(period * time.Duration(index) / time.Duration(of))
			time.Sleep(time.Until(first))
			for beat := range count {
				time.Sleep(time.Until(first.Add(period * time.Duration(beat+1))))
				each()
			}
		}
		for i := range sleepers {
			wg.Go(func() { beats(i, sleepers, func() {}) })
		}
		for i, conn := range conns {
			wg.Go(func() { beats(i, connections, func() { exchange(conn, 1) }) })
		}
		wg.Wait()
	}
	count := c.count(1_000)
	periods((count + 9) / 10)
	m := startMeter()
	periods(count)
	s := m.stop()
	return s.report(s.cpu.Seconds() * 1e3 / s.wall.Seconds())
}

// compute computes steps steps, each of which needs the one before.
//
//go:noinline
func compute(steps uint64) uint64 {
	x := uint64(1)
	for range steps {
		x = x*6_364_136_223_846_793_005 + 1
	}
	return x
}

// stepsIn is how many steps this CPU computes in d: the fastest of several tries.
func stepsIn(d time.Duration) uint64 {
	const steps = 1_000_000
	fastest := time.Hour
	for range 20 {
		start := time.Now()
		compute(steps)
		fastest = min(fastest, time.Since(start))
	}
	return uint64(steps * d.Seconds() / fastest.Seconds())
}

func fork(c config) report {
	steps := stepsIn(5 * time.Millisecond)
	forked := func() float64 {
		start := time.Now()
		other := oneshot[uint64]()
		go func() { other <- compute(steps) }()
		own := compute(steps)
		assert(<-other == own, "both computed the same")
		return float64(time.Since(start).Nanoseconds()) / 1e6
	}
	count := c.count(100)
	for range (count + 9) / 10 {
		forked()
	}
	m := startMeter()
	times := make([]float64, 0, count)
	for range count {
		times = append(times, forked())
	}
	s := m.stop()
	return s.report(percentile(times, 0.5)).with("p99_ms", percentile(times, 0.99))
}
