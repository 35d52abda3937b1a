"""ServiceLevelObjective: has its check's runs counted, and asks what they amount to."""
