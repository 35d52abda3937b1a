"""The project's images, built with the standard library alone: no Docker, no registry."""
