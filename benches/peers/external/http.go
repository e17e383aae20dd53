// A server of HTTP that says "Hello, World!", on one processor.
//
//	http --listen ADDRESS:PORT   serves, and prints where
//	http                         prints the version
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Println(runtime.Version())
		return
	}
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp", os.Args[2])
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	greeting := []byte("Hello, World!")
	greet := func(w http.ResponseWriter, _ *http.Request) { w.Write(greeting) }
	panic(http.Serve(listener, http.HandlerFunc(greet)))
}
