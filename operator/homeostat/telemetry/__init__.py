"""Metrics and logs, each defined once."""
