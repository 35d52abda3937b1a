"""HTTP/2 without I/O, and what is asked over it: an HTTP request, the health of a gRPC service."""
