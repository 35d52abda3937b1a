"""What a policy tells: phase, conditions, refusals, decisions and escalations."""
