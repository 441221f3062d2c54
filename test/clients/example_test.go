package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tributary-cdc/tributary/test/program"
)

// example compiles the reader that `tributary consumer example go` prints, runs it, and
// gives the first lines that it prints.
func example(t *testing.T, bin, file string, lines int) (rows []row) {
	t.Helper()
	dir := t.TempDir()
	var said bytes.Buffer
	cmd := exec.Command(bin, "consumer", "example", "go", "student", "--config", file)
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("example: %v\n%s", err, said.Bytes())
	}
	source, reader := program.Write(t, filepath.Join(dir, "main.go"), "%s", text), filepath.Join(dir, "reader")
	cmd = exec.Command("go", "build", "-o", reader, source) // with the modules of this project
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile the example: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs bytes.Buffer
	cmd = exec.CommandContext(ctx, reader)
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(out)
	d.UseNumber()
	for len(rows) < lines {
		var r row
		if err := d.Decode(&r.Row); err != nil {
			t.Fatalf("line %d: %v\n%s", len(rows), err, errs.Bytes())
		}
		rows = append(rows, r)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("its end: %v\n%s", err, errs.Bytes())
	}
	if errs.Len() > 0 { // such as a gap, of which there is none
		t.Errorf("it says %s", errs.Bytes())
	}
	return rows
}

// inGo gives what the example must print of what Confluent's client sees.
func inGo(want []row) (rows []row) {
	forms := map[any]any{"00ff": "AP8=", "-inf": "-Inf"}
	for _, w := range want[:len(want)-1] { // without the count of records that are no rows
		for _, image := range []*map[string]any{&w.Row.Before, &w.Row.After} {
			*image = maps.Clone(*image)
			for k, v := range *image {
				if other, ok := forms[v]; ok && w.Codec == "avro" {
					(*image)[k] = other
				}
			}
		}
		if w.Row.Absent != "" {
			delete(w.Row.After, "marks")
		}
		w.Codec, w.Row.Absent = "", ""
		rows = append(rows, w)
	}
	return rows
}
