"""What must be so before anything is done: a chain of small named questions."""
