"""Faults of name resolution: answers that come late, or say that there is no such name."""
