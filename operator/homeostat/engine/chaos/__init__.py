"""What the shell gathers and keeps up for experiments: targets, agents, signals."""
