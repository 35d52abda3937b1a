"""How we look at a service: one module per kind of probe, or a room; `net/` has the guard that says what is reached."""
