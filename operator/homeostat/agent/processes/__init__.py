"""Faults of the processes whose PID namespace we share: stopped for a while, sent a signal, killed."""
