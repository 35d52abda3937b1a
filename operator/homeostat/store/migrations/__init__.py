"""Migrations of the history store, run by a child of the operator when it opens the store."""
