"""Prometheus as a source: what is asked, what it answers, and what that counts. Pure."""
