"""Faults on the cluster: fields held at other values, agents in pods and the lines to them, what is left of both."""
