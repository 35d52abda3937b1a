"""What is left behind: SIGKILL of whoever is part of a fault, at every point, and the target compared byte for byte."""
