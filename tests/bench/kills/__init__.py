"""The kill matrix: SIGKILL of the operator at every point of every step, and what became of the action."""
