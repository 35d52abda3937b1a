"""How we look at a service: one module per kind of probe, and the guard that says what may be reached."""
