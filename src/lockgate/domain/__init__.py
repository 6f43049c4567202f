"""Frozen types and pure rules: standard library only, no clock, no I/O."""
