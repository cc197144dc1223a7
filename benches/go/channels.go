package main

import (
	"slices"
	"sync"
	"sync/atomic"
)

var channelRows = []row{
	{"chan_0", "ns", func(c config) report { return pass(c, 0, 1, 1, 2_000_000) }},
	{"chan_1", "ns", func(c config) report { return pass(c, 1, 1, 1, 2_000_000) }},
	{"chan_128", "ns", func(c config) report { return pass(c, 128, 1, 1, 6_000_000) }},
	{"chan_128_4to1", "ns", func(c config) report { return pass(c, 128, 4, 1, 6_000_000) }},
	{"chan_128_4to4", "ns", func(c config) report { return pass(c, 128, 4, 4, 6_000_000) }},
	{"ring_1", "ns", func(c config) report { return ring(c, 1) }},
	{"ring_0", "ns", func(c config) report { return ring(c, 0) }},
	{"pinball", "ns", pinball},
	{"select_2_128", "ns", func(c config) report { return selectOver(c, 2, 128, 4_000_000, sumOf2) }},
	{"select_2_1", "ns", func(c config) report { return selectOver(c, 2, 1, 2_000_000, sumOf2) }},
	{"select_8", "ns", func(c config) report { return selectOver(c, 8, 128, 4_000_000, sumOf8) }},
	{"select_default", "ns", selectDefault},
	{"mutex_alone", "ns", func(c config) report { return mutex(c, 1, 20_000_000) }},
	{"mutex_8", "ns", func(c config) report { return mutex(c, 8, 600_000) }},
}

func sumBelow(count int) uint64 {
	return uint64(count) * uint64(count-1) / 2
}

func sendAll(ch chan<- uint64, first, count int) {
	for i := first; i < first+count; i++ {
		ch <- uint64(i)
	}
}

func pass(c config, capacity, senders, receivers, messages int) report {
	once := func(each int) {
		ch := make(chan uint64, capacity)
		sums := make(chan uint64, receivers)
		for range receivers {
			go func() {
				sum := uint64(0)
				for v := range ch {
					sum += v
				}
				sums <- sum
			}()
		}
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() { sendAll(ch, i*each, each) })
		}
		wg.Wait()
		close(ch)
		total := uint64(0)
		for range receivers {
			total += <-sums
		}
		assert(total == sumBelow(senders*each), "sum of messages")
	}
	each := c.count(messages / senders)
	once((each + 9) / 10)
	m := startMeter()
	once(each)
	return m.stop().nsEach(senders * each)
}

func ring(c config, capacity int) report {
	const tasks = 503
	hops := c.count(2_000_000)
	cameHome := oneshot[struct{}]()
	first := make(chan int, capacity)
	receiver := first
	for i := range tasks {
		next := first
		if i+1 < tasks {
			next = make(chan int, capacity)
		}
		go func(receiver, next chan int) {
			for left := range receiver {
				if left == 0 {
					cameHome <- struct{}{}
				} else {
					next <- left - 1
				}
			}
		}(receiver, next)
		receiver = next
	}
	first <- (hops + 9) / 10
	<-cameHome
	m := startMeter()
	first <- hops
	<-cameHome
	return m.stop().nsEach(hops)
}

// pinball lets tokens bounce in complete graphs: who has one sends it to any other node.
func pinball(c config) report {
	const graphs, nodes, tokens = 8, 13, 4
	// Room for all tokens: no send waits.
	const capacity = 16
	var left atomic.Int64
	allAtRest := oneshot[struct{}]()
	graph := func(number int) []chan int {
		all := make([]chan int, nodes)
		for i := range all {
			all[i] = make(chan int, capacity)
		}
		for i, receiver := range all {
			others := slices.Concat(all[:i], all[i+1:])
			random := uint64(number*nodes + i)
			go func() {
				for hops := range receiver {
					if hops > 0 {
						random = random*6_364_136_223_846_793_005 + 1_442_695_040_888_963_407
						others[(random>>33)%uint64(len(others))] <- hops - 1
					} else if left.Add(-1) == 0 {
						allAtRest <- struct{}{}
					}
				}
			}()
		}
		return all
	}
	all := make([][]chan int, graphs)
	for i := range all {
		all[i] = graph(i)
	}
	play := func(hops int) {
		left.Store(graphs * tokens)
		for _, graph := range all {
			for _, node := range graph[:tokens] {
				node <- hops
			}
		}
		<-allAtRest
	}
	hops := c.count(2_000_000 / (graphs * tokens))
	play((hops + 9) / 10)
	m := startMeter()
	play(hops)
	return m.stop().nsEach(graphs * tokens * hops)
}

func selectOver(c config, n, capacity, messages int, sum func(chs []chan uint64, count int) uint64) report {
	once := func(each int) {
		chs := make([]chan uint64, n)
		for i := range chs {
			chs[i] = make(chan uint64, capacity)
		}
		total := oneshot[uint64]()
		go func() { total <- sum(chs, n*each) }()
		for i, ch := range chs {
			go sendAll(ch, i*each, each)
		}
		assert(<-total == sumBelow(n*each), "sum of messages")
	}
	each := c.count(messages / n)
	once((each + 9) / 10)
	m := startMeter()
	once(each)
	return m.stop().nsEach(n * each)
}

func sumOf2(chs []chan uint64, count int) (sum uint64) {
	a, b := chs[0], chs[1]
	for range count {
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum += v
		}
	}
	return sum
}

func sumOf8(chs []chan uint64, count int) (sum uint64) {
	a, b, c, d, e, f, g, h := chs[0], chs[1], chs[2], chs[3], chs[4], chs[5], chs[6], chs[7]
	for range count {
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum += v
		case v := <-c:
			sum += v
		case v := <-d:
			sum += v
		case v := <-e:
			sum += v
		case v := <-f:
			sum += v
		case v := <-g:
			sum += v
		case v := <-h:
			sum += v
		}
	}
	return sum
}

func selectDefault(c config) report {
	polls := func(count int) {
		a, b := make(chan uint64, 128), make(chan uint64, 128)
		sent, sum := 0, uint64(0)
		for i := range count {
			if i%8 == 0 {
				if sent%2 == 0 {
					a <- uint64(sent)
				} else {
					b <- uint64(sent)
				}
				sent++
			}
			select {
			case v := <-a:
				sum += v
			case v := <-b:
				sum += v
			default:
			}
		}
		assert(sum == sumBelow(sent), "sum of messages")
	}
	count := c.count(20_000_000)
	polls((count + 9) / 10)
	m := startMeter()
	polls(count)
	return m.stop().nsEach(count)
}

func mutex(c config, tasks, each int) report {
	once := func(each int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		number := 0
		for range tasks {
			wg.Go(func() {
				for range each {
					mu.Lock()
					number++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		assert(number == tasks*each, "number under the lock")
	}
	each = c.count(each)
	once((each + 9) / 10)
	m := startMeter()
	once(each)
	return m.stop().nsEach(tasks * each)
}
