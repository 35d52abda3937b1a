"""What holds a run back: who may be touched at all, how much may be taken at once, and who writes a target."""
