"""The API over HTTP: /api/v1."""
