"""Rules for Prometheus that evaluate an objective there: the same figures and alerts, as recordings (S15)."""
