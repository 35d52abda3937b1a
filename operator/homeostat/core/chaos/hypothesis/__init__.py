"""What must be so before, during and after a fault: its parts, what stops a run, and who was called meanwhile."""
