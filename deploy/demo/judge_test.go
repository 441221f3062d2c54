package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestEverybodyIsKilled: within ten kills each of five dies at least once, and one
// seed gives one order.
func TestEverybodyIsKilled(t *testing.T) {
	for seed := range uint64(200) {
		got := order(rand.New(rand.NewPCG(seed, 7)), 5, wantKills)
		if len(got) != wantKills || !slices.Equal(got, order(rand.New(rand.NewPCG(seed, 7)), 5, wantKills)) {
			t.Fatalf("seed %d: %v", seed, got)
		}
		for v := range 5 {
			if !slices.Contains(got, v) {
				t.Fatalf("seed %d: %v lacks %d", seed, got, v)
			}
		}
	}
}
