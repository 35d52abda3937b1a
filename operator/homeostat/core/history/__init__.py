"""What happened, counted over time: buckets and the books of them in memory, what the store keeps, how it is read.

`window.py` says what a bucket is; `ledger.py` keeps the books; `records.py` has what is kept beside them.
"""
