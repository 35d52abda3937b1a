"""A plan and a human: shown, and carried out once somebody has approved this very plan."""
