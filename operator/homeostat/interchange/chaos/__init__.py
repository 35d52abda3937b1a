"""Experiments of other tools, as ours: what is to be broken, and what cannot be said here."""
