"""ServiceLevelObjective: what its windows hold, what that amounts to, and what follows. `evaluation` is the entry."""
