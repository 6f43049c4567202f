"""Assertion types that must wait for somebody: a judge, a program, or the provider once more."""
