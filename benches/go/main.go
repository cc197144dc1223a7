// Command peer-go runs one load of the comparison in Go and prints one line of JSON, as the Rust peers do.
//
// The loads are those of ../src/loads, in Go's own idiom: goroutines, channels, WaitGroup, select, net.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
)

// config says how large a run is to be.
type config struct {
	workers int
	scale   float64
}

// count is the count for this run where a full run has full; never below one.
func (c config) count(full int) int {
	return max(1, int(float64(full)*c.scale))
}

// row is a load: its name in the catalogue, the unit of its figure, and the function that runs it.
type row struct {
	name, unit string
	run        func(config) report
}

// sample is the line of JSON; the fields are those of src/sample.rs.
type sample struct {
	Load        string             `json:"load"`
	Peer        string             `json:"peer"`
	Workers     int                `json:"workers"`
	Value       float64            `json:"value"`
	Unit        string             `json:"unit"`
	WallS       float64            `json:"wall_s"`
	CPUS        float64            `json:"cpu_s"`
	Voluntary   int64              `json:"voluntary"`
	Involuntary int64              `json:"involuntary"`
	PeakRSS     int64              `json:"peak_rss"`
	Extra       map[string]float64 `json:"extra"`
}

func main() {
	rows := slices.Concat(schedulingRows, memoryRows, channelRows, timeRows, ioRows)
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(runtime.Version())
		return
	}
	flags := flag.NewFlagSet("peer-go LOAD", flag.ExitOnError)
	var c config
	flags.IntVar(&c.workers, "workers", 2, "GOMAXPROCS")
	flags.Float64Var(&c.scale, "scale", 1, "fraction of the full counts")
	if len(os.Args) < 2 {
		flags.Usage()
		os.Exit(2)
	}
	flags.Parse(os.Args[2:])
	i := slices.IndexFunc(rows, func(r row) bool { return r.name == os.Args[1] })
	if i < 0 {
		fmt.Fprintf(os.Stderr, "go has no load `%s`\n", os.Args[1])
		os.Exit(2)
	}
	runtime.GOMAXPROCS(c.workers)
	r := rows[i].run(c)
	line, err := json.Marshal(sample{
		Load: rows[i].name, Peer: "go", Workers: c.workers, Value: r.value, Unit: rows[i].unit,
		WallS: r.span.wall.Seconds(), CPUS: r.span.cpu.Seconds(),
		Voluntary: r.span.voluntary, Involuntary: r.span.involuntary,
		PeakRSS: peakResidentBytes(), Extra: r.extra,
	})
	must(err)
	fmt.Println(string(line))
	os.Exit(0)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func assert(ok bool, what string) {
	if !ok {
		panic("assertion failed: " + what)
	}
}

// percentile is the value below which the fraction q lies, by the nearest-rank rule.
func percentile(values []float64, q float64) float64 {
	slices.Sort(values)
	rank := int(math.Ceil(q * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}
