"""The way of a run, phase by phase; each module has the phases of one part of it."""
