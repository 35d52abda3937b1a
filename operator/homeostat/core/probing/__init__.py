"""What a probe is asked (`request.py`) and what it answers (`result.py`), between what users write and the prober.

`asking.py` makes the one of a spec; `explanation.py` says what the other means to whoever reads it.
"""
