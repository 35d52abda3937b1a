"""What others own and we only read, on demand: workloads, pods, Nodes, Services, as records of `core.cluster`.

`projections.py` makes the records; `cluster.py` and `targets.py` ask for what they are made of.
"""
