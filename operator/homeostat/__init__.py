"""homeostat keeps services inside their objectives: inject, detect, decide, act, verify."""
