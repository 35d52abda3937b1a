"""What feeds objectives and what is told of them: checks, pushed events, Prometheus; rules, alerts, the API."""
