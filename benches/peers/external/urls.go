// 35 URLs, again and again, from a slow server: a goroutine for each, on one processor.
//
//	urls (wall|cpu) SERVER URLS ROUNDS KEEP   prints ns of time for a round, or of CPU time for a fetch
//	urls                                      prints the version
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 6 {
		fmt.Println(runtime.Version())
		return
	}
	runtime.GOMAXPROCS(1)
	urls, _ := strconv.Atoi(os.Args[3])
	rounds, _ := strconv.Atoi(os.Args[4])
	keep := os.Args[5] == "1"
	transport := &http.Transport{DisableKeepAlives: !keep, MaxIdleConnsPerHost: urls}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	fetch := func(url int) {
		answer, err := client.Get(fmt.Sprintf("http://%s/%d", os.Args[2], url))
		if err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	round := func() {
		var group sync.WaitGroup
		for url := 0; url < urls; url++ {
			group.Add(1)
			go func(url int) {
				defer group.Done()
				fetch(url)
			}(url)
		}
		group.Wait()
	}
	round()
	before := cpu()
	times := make([]int64, rounds)
	for i := range times {
		begin := time.Now()
		round()
		times[i] = time.Since(begin).Nanoseconds()
	}
	used := cpu() - before
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	if os.Args[1] == "wall" {
		fmt.Println(times[rounds/2])
	} else {
		fmt.Println(used / int64(rounds*urls))
	}
}

func cpu() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}
