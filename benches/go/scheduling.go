package main

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

var schedulingRows = []row{
	{"spawn_join", "ns", spawnJoin},
	{"spawn_detached", "ns", spawnDetached},
	{"yield_200", "ns", yield200},
	{"yield_alone", "ns", yieldAlone},
	{"ping_pong", "ns", pingPong},
	{"chained_spawn", "ns", chainedSpawn},
	{"skynet_handles", "ns", skynetHandles},
	{"skynet_channels", "ns", skynetChannels},
	{"main_round_trip", "ns", func(c config) report { return roundTrips(c.count(30_000)) }},
	{"task_round_trip", "ns", func(c config) report { return inGoroutine(roundTrips, c.count(2_000_000)) }},
	{"wait_group", "ns", waitGroup},
	{"context_tree", "ns", contextTree},
}

// inGoroutine runs load in a goroutine that is not main's.
func inGoroutine(load func(int) report, count int) report {
	result := make(chan report)
	go func() { result <- load(count) }()
	return <-result
}

// oneshot is a channel for one value: sending never waits.
func oneshot[T any]() chan T { return make(chan T, 1) }

// spawnJoin: Go has no join handles; a wave is a WaitGroup and a slot for each result.
func spawnJoin(c config) report {
	const wave = 1_000
	waves := func(count int) {
		var results [wave]int
		sum, expected := 0, 0
		for w := range count {
			var wg sync.WaitGroup
			for i := range wave {
				wg.Go(func() { results[i] = w + i })
			}
			wg.Wait()
			for _, r := range results {
				sum += r
			}
			expected += wave*w + wave*(wave-1)/2
		}
		assert(sum == expected, "sum of results")
	}
	count := c.count(3_000)
	waves((count + 9) / 10)
	m := startMeter()
	waves(count)
	return m.stop().nsEach(count * wave)
}

func spawnDetached(c config) report {
	const burst = 10_000
	bursts := func(count int) {
		for range count {
			var left atomic.Int64
			left.Store(burst)
			done := oneshot[struct{}]()
			for range burst {
				go func() {
					if left.Add(-1) == 0 {
						done <- struct{}{}
					}
				}()
			}
			<-done
			assert(left.Load() == 0, "all ran")
		}
	}
	count := c.count(200)
	bursts((count + 9) / 10)
	m := startMeter()
	bursts(count)
	return m.stop().nsEach(count * burst)
}

func yield200(c config) report {
	const tasks = 200
	all := func(yields int) {
		var wg sync.WaitGroup
		var sum atomic.Int64
		for range tasks {
			wg.Go(func() {
				count := int64(0)
				for range yields {
					runtime.Gosched()
					count++
				}
				sum.Add(count)
			})
		}
		wg.Wait()
		assert(sum.Load() == int64(tasks*yields), "sum of yields")
	}
	yields := c.count(30_000)
	all((yields + 9) / 10)
	m := startMeter()
	all(yields)
	return m.stop().nsEach(tasks * yields)
}

func yieldAlone(c config) report {
	yields := c.count(2_000_000)
	for range (yields + 9) / 10 {
		runtime.Gosched()
	}
	m := startMeter()
	for range yields {
		runtime.Gosched()
	}
	return m.stop().nsEach(yields)
}

func pingPong(c config) report {
	const pairs = 1_000
	rounds := func(count int) {
		for range count {
			var left atomic.Int64
			left.Store(pairs)
			done := oneshot[struct{}]()
			for i := range pairs {
				go func() {
					ping, pong := oneshot[int](), oneshot[int]()
					go func() { pong <- <-ping + 1 }()
					ping <- i
					assert(<-pong == i+1, "pong")
					if left.Add(-1) == 0 {
						done <- struct{}{}
					}
				}()
			}
			<-done
		}
	}
	count := c.count(1_000)
	rounds((count + 9) / 10)
	m := startMeter()
	rounds(count)
	return m.stop().nsEach(count * pairs)
}

func chainedSpawn(c config) report {
	const depth = 1_000
	var link func(done chan struct{}, depth int)
	link = func(done chan struct{}, depth int) {
		if depth == 0 {
			done <- struct{}{}
			return
		}
		go link(done, depth-1)
	}
	chains := func(count int) {
		for range count {
			done := oneshot[struct{}]()
			link(done, depth)
			<-done
		}
	}
	count := c.count(2_000)
	chains((count + 9) / 10)
	m := startMeter()
	chains(count)
	return m.stop().nsEach(count * depth)
}

// skynet runs the tree twice and reports the second; node computes the sum of the leaves below.
func skynet(c config, tree func(leaves int) int) report {
	leaves := int(math.Pow10(int(math.Log10(float64(c.count(1_000_000))))))
	tasks, sum := (leaves*10-1)/9, leaves*(leaves-1)/2
	assert(tree(leaves) == sum, "sum of leaves")
	m := startMeter()
	assert(tree(leaves) == sum, "sum of leaves")
	return m.stop().nsEach(tasks)
}

func skynetHandles(c config) report {
	var node func(first, size int) int
	node = func(first, size int) int {
		if size == 1 {
			return first
		}
		part := size / 10
		var wg sync.WaitGroup
		var results [10]int
		for i := range 10 {
			wg.Go(func() { results[i] = node(first+i*part, part) })
		}
		wg.Wait()
		sum := 0
		for _, r := range results {
			sum += r
		}
		return sum
	}
	return skynet(c, func(leaves int) int {
		var wg sync.WaitGroup
		var sum int
		wg.Go(func() { sum = node(0, leaves) })
		wg.Wait()
		return sum
	})
}

func skynetChannels(c config) report {
	var node func(parent chan<- int, first, size int)
	node = func(parent chan<- int, first, size int) {
		if size == 1 {
			parent <- first
			return
		}
		part := size / 10
		results := make(chan int, 10)
		for i := range 10 {
			go node(results, first+i*part, part)
		}
		sum := 0
		for range 10 {
			sum += <-results
		}
		parent <- sum
	}
	return skynet(c, func(leaves int) int {
		result := make(chan int, 10)
		go node(result, 0, leaves)
		return <-result
	})
}

func roundTrips(count int) report {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for n := range there {
			back <- n + 1
		}
	}()
	n := 0
	for range (count + 9) / 10 {
		there <- n
		n = <-back
	}
	m := startMeter()
	for range count {
		there <- n
		n = <-back
	}
	s := m.stop()
	assert(n == count+(count+9)/10, "round trips")
	return s.nsEach(count)
}

func waitGroup(c config) report {
	const tasks = 100_000
	groups := func(count int) {
		for range count {
			var wg sync.WaitGroup
			var ran atomic.Int64
			for range tasks {
				wg.Go(func() { ran.Add(1) })
			}
			wg.Wait()
			assert(ran.Load() == tasks, "all ran")
		}
	}
	count := c.count(20)
	groups((count + 9) / 10)
	m := startMeter()
	groups(count)
	return m.stop().nsEach(count * tasks)
}

func contextTree(c config) report {
	const leaves = 1_000
	tree := func(nodes int) {
		var woken, parked atomic.Int64
		woken.Store(int64(nodes * leaves))
		allWoken := oneshot[struct{}]()
		root, cancel := context.WithCancel(context.Background())
		for range nodes {
			node, cancelNode := context.WithCancel(root)
			defer cancelNode()
			for range leaves {
				leaf, cancelLeaf := context.WithCancel(node)
				go func() {
					defer cancelLeaf()
					parked.Add(1)
					<-leaf.Done()
					if woken.Add(-1) == 0 {
						allWoken <- struct{}{}
					}
				}()
			}
			runtime.Gosched()
		}
		for parked.Load() < int64(nodes*leaves) {
			runtime.Gosched()
		}
		cancel()
		<-allWoken
	}
	nodes, rounds := c.count(100), c.count(10)
	tree(nodes)
	m := startMeter()
	for range rounds {
		tree(nodes)
	}
	return m.stop().nsEach(rounds * nodes * leaves)
}
