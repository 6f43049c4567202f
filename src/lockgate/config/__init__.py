"""One file, one schema: what a process needs to know before it starts."""
