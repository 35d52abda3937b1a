"""What we decide: pure, total, synchronous functions. `now` is an argument; nothing here waits or looks around.

    health/ objective/ recovery/ chaos/ gameday/  one kind each: what it does next, and what its status says
    probing/      what probes ask and answer      history/      what happened, counted over time
    prometheus/   Prometheus as a source          rules/        rules for Prometheus
    guarding/     how held fields go back         simulation/   the past, decided anew
    diagnosis/    whether an installation is whole

Beside the rooms is what several of them share: what decisions are made of (`decision.py`, `action.py`), what is seen
of a cluster (`cluster.py`), and what the operator needs for itself (`rights.py`, `schedule.py`, `pace.py`).
"""
