"""Evaluation suites: what promptfoo reads, graded without a network."""
