"""Processes of our own: CEL over answers of strangers, and probes beyond one core."""
