"""What is healed: which object, how much of it is out, and what is remembered of each."""
