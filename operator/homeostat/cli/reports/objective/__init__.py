"""The report of how an objective was kept in a month: what is read for it, its figures, and how it is printed."""
