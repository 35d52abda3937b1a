"""`homeostat approve`, `reject`, `pause`, `resume`, and steps by hand."""
