"""Rows of cases: read, compare, label, mask and make."""
