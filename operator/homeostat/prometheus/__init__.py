"""How we speak to Prometheus."""
