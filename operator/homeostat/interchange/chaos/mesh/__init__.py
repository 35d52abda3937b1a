"""Chaos Mesh (chaos-mesh.org/v1alpha1), read."""
