"""Litmus (litmuschaos.io/v1alpha1), read."""
