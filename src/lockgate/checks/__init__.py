"""Judges of drafts that any task can use."""
