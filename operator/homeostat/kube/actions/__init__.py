"""Acts on what others own, each once and on the very object it was meant for, and what they would change.

`actuator.py` is the only hand; the other modules are what it does of one sort each, and `revisions.py` looks first.
"""
