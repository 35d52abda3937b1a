"""`homeostat probe`, `history` and `score`: checks, now and before."""
