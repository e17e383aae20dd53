// Goroutines that yield to each other, on one processor: one hand-off is two stack switches and
// a trip through the run queue.
//
// Gosched queues a goroutine and runs another one. Now and then the scheduler looks into its
// queues in a different order, so the turns do not keep strictly to the order of the ring. The
// number is shared, as only one goroutine runs at a time; a turn that comes straight back to the
// same goroutine is no hand-off and does not count.
//
//	handoff RING COUNT   prints the nanoseconds of CPU time per hand-off
//	handoff              prints the version
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
)

var number, warm, limit, start, end int64
var holder = -1

func main() {
	if len(os.Args) < 3 {
		fmt.Println(runtime.Version())
		return
	}
	runtime.GOMAXPROCS(1)
	ring, count := argument(1), argument(2)
	warm = count/10 + ring
	limit = warm + count
	var seats sync.WaitGroup
	seats.Add(int(ring))
	for me := 0; me < int(ring); me++ {
		go travel(me, &seats)
	}
	seats.Wait()
	fmt.Printf("%.3f\n", float64(end-start)/float64(count))
}

func travel(me int, seats *sync.WaitGroup) {
	for number < limit {
		if holder != me {
			arrive(me)
		}
		runtime.Gosched()
	}
	seats.Done()
}

func arrive(me int) {
	holder = me
	number++
	if number == warm {
		start = cpuNs()
	} else if number == limit {
		end = cpuNs()
	}
}

func argument(i int) int64 {
	value, err := strconv.ParseInt(os.Args[i], 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

func cpuNs() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
