"""What we decide: pure, total, synchronous functions. `now` is an argument; nothing here waits or looks around."""
