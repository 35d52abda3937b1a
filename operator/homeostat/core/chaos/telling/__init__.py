"""What a run tells: its verdict, what was seen and measured, what was proved, and what to do about it."""
