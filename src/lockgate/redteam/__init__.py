"""Attacks on tasks: what is tried, where it is placed, and how success is judged."""
