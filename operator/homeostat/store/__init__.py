"""History: SLI buckets, probe results, recovery attempts. Lost history costs graphs, never safety."""
