"""Faults that use up what the pod has: children that burn CPU time or hold memory, and die with the holder."""
