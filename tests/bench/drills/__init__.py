"""The drills: shipped experiments on real pods, with the runbooks and the alert that they prove."""
