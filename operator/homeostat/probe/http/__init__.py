"""HTTP/1: the probe, one exchange, redirects, what an answer must hold, journeys of several steps."""
