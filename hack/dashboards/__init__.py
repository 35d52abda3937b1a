"""The dashboards of Grafana as short descriptions, and what makes JSON of them."""
