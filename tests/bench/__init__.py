"""Benchmarks: side by side in one run, printed as a table and written as rows. Run them with ./hack/bench NAME."""
