"""`homeostat simulate`: history, replayed."""
