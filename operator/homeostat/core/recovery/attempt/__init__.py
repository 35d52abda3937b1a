"""One attempt, from its intent to its end: begin, ask, learn, verify, undo, record."""
