"""Finds the documents that fit a query."""
