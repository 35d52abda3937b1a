"""What humans ask of a policy: to carry a plan out, to leave it, to run a step by hand, or to rest (R13)."""
