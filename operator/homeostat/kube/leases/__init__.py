"""Leases, by which processes agree through the API server: who leads, who may touch a target, how many acts are left.

Each is read, changed and deleted at the version that was read (`lease.py`); whoever comes second reads again.
"""
