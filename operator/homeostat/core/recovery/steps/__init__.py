"""What can be done: one module a step, and the actions that carry one out."""
