"""`homeostat chaos` and `undo`: experiments and game days by hand."""
