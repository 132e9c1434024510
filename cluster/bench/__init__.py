"""Benchmarks: what `scripts/bench` runs. Each returns JSON values; none is a test."""
