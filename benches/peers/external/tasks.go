// Goroutines that yield, that do nothing, that sleep, or that grow a tree, on one processor.
//
//	tasks yield TASKS COUNT    TASKS goroutines yield COUNT times altogether
//	tasks spawn AT_ONCE COUNT  COUNT goroutines do nothing, AT_ONCE at a time
//	tasks sleep 0 COUNT        COUNT goroutines sleep for up to a second
//	tasks skynet COLUMN COUNT  a tree of goroutines with COUNT leaves
//	tasks                      prints the version
//
// Each prints the nanoseconds of CPU time for each of COUNT; skynet those in the kernel for COLUMN 1, and for 2 the
// most memory that it had, in MiB.
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
	if os.Args[1] == "skynet" {
		skynet(tasks, count)
		return
	}
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

func skynet(column, leaves int) {
	up := make(chan int, 1)
	go node(0, leaves, up)
	if sum := <-up; sum != leaves*(leaves-1)/2 {
		panic("the sum is wrong")
	}
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	switch column {
	case 0:
		fmt.Printf("%.3f\n", float64(used.Utime.Nano()+used.Stime.Nano())/float64(leaves))
	case 1:
		fmt.Printf("%.3f\n", float64(used.Stime.Nano())/float64(leaves))
	default:
		fmt.Printf("%.3f\n", float64(used.Maxrss)/1024)
	}
}

func node(number, leaves int, up chan int) {
	if leaves == 1 {
		up <- number
		return
	}
	sums := make(chan int, 10)
	for branch := 0; branch < 10; branch++ {
		go node(number+branch*leaves/10, leaves/10, sums)
	}
	sum := 0
	for branch := 0; branch < 10; branch++ {
		sum += <-sums
	}
	up <- sum
}
