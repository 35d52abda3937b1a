"""`homeostat report`: a month of an objective, a run, a game day."""
