"""HTTP faults: a relay of ours between the clients of a pod's port and the program that listens there."""
