"""The faults: how each is planned (`plan.py`), goes on (`injection.py`), stays on (`hold.py`) and goes off (`undo.py`).

Blows are done once. Held fields are set, and set back by what stands on the object. Agent faults are held by a process
in the target pod, and end with it.
"""
