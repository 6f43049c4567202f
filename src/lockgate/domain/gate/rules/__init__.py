"""The gate's rules: one concern a module, each a function from a case to findings."""
