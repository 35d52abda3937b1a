"""HealthCheck: how its runs fare, what that amounts to, and what its status says of it. `evaluation` is the entry.

The hot path is `plan.py`, `run.py`, `track.py`: compiled once, then only counters; the others are asked when one moved.
"""
