"""Where alerts go: Alertmanager."""
