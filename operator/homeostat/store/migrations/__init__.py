"""Migrations of the history store, run by the operator itself when it opens the store."""
