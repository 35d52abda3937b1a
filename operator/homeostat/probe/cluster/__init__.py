"""Probes that ask the API server, workloads and Jobs, and the Secrets that requests name."""
