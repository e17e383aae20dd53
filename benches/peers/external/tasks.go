// Goroutines that yield, that do nothing, or that sleep, on one processor.
//
//	tasks yield TASKS COUNT    TASKS goroutines yield COUNT times altogether
//	tasks spawn AT_ONCE COUNT  COUNT goroutines do nothing, AT_ONCE at a time
//	tasks sleep 0 COUNT        COUNT goroutines sleep for up to a second
//	tasks                      prints the version
//
// Each prints the nanoseconds of CPU time for each of COUNT.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Println(runtime.Version())
		return
	}
	runtime.GOMAXPROCS(1)
	tasks, count := argument(2), argument(3)
	start := cpuNs()
	switch os.Args[1] {
	case "yield":
		yield(tasks, count)
	case "spawn":
		spawn(tasks, count)
	case "sleep":
		sleep(count)
	}
	fmt.Printf("%.3f\n", float64(cpuNs()-start)/float64(count))
}

func yield(tasks, count int) {
	var all sync.WaitGroup
	all.Add(tasks)
	for task := 0; task < tasks; task++ {
		go func() {
			for turn := 0; turn < count/tasks; turn++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	all.Wait()
}

func spawn(atOnce, count int) {
	var all sync.WaitGroup
	for round := 0; round < count/atOnce; round++ {
		all.Add(atOnce)
		for task := 0; task < atOnce; task++ {
			go all.Done()
		}
		all.Wait()
	}
}

func sleep(count int) {
	var all sync.WaitGroup
	all.Add(count)
	state := uint64(1)
	for task := 0; task < count; task++ {
		state = state*6364136223846793005 + 1442695040888963407
		duration := time.Duration((state>>33)%1000) * time.Millisecond
		go func() {
			time.Sleep(duration)
			all.Done()
		}()
	}
	all.Wait()
}

func argument(i int) int {
	value, err := strconv.Atoi(os.Args[i])
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
