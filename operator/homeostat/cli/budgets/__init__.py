"""`homeostat budget` and `gate`: what is left, and whether it is enough."""
