"""Judges of drafts that any task can use. `lockgate.app` holds the table."""
