"""Faults of the network: packets that are lost, late, too many for the link, cut off, or connections that are reset."""
