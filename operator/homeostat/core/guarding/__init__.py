"""How a held field finds its way back whoever dies: what is put back, and when the undo Pod does it by itself. Pure.

The operator, the undo Pod and the sweeper decide by the same code, so this room knows no experiment.
"""
