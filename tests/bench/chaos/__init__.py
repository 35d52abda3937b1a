"""What the benchmarks of experiments share: a scene with lanes, and eyes that see faults from outside."""
