"""The imperative shell: objects, one schedule, workers, resync, limits. It holds no `if` about reliability."""
