"""The API server and how it is reached: the client, what its answers mean, who we are to it, where each kind lives.

Everything else in `kube/` sends its requests through `client.py`, and its writes through the gate.
"""
