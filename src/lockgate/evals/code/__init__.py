"""Assertions that are Python: run only when allowed, and in a process of their own."""
