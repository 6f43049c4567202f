"""Assertion types, one module a family: pure functions of an assertion, an output, a context."""
