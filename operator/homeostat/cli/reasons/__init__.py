"""`homeostat why` and `explain`: what happened and why not, what stands and what would be done."""
