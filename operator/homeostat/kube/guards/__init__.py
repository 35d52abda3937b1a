"""The guard of a held fault: a Lease with the originals, and a Pod that restores them when nobody renews it (C3, C18).

The operator's side is `keeping.py`, the Pod's `post.py`; what they tell each other stands on the Lease (`lease.py`).
"""
