"""Replaying the past: what an objective or a policy would have said of it, decided by the code that decides live."""
