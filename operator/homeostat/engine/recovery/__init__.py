"""What a RecoveryPolicy looks at, gathered: its signals, its target, what humans ask of it."""
