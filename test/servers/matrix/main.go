// Command matrix prints which servers the tests ran on, from the file of their results,
// and fails if that isn't what capture/SERVERS.md says.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/tributary-cdc/tributary/test/servers"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: matrix FILE")
		os.Exit(2)
	}
	f, err := os.Open(os.Args[1])
	if err == nil {
		err = errors.Join(servers.Judge(f, os.Stdout), f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}
