"""The fault matrix: faults in real pods, healed by the shipped runbooks, or left alone for a reason."""
