"""How we speak to the API server.

    apiserver/    the client and its words        leases/         who leads, locks, the action budget
    workloads/    what others own, read           authorization/  who may do what
    actions/      what others own, changed        faults/         held fields, agents, what is left of them
    guards/       who restores held fields

Beside the rooms: our own kinds (`objects.py`), Events, objects with rules, and the Jobs and Secrets of probes.
"""
