// Command fetch brings the servers that tests start into the cache, so that no test
// has to wait for a download.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/tributary-cdc/tributary/test/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := servers.Fetch(ctx, func(line string) { fmt.Println(line) }); err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}
