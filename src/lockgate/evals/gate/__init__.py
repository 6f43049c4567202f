"""What `x-gate` asks of a run, what a run shows of it, and what was ruled."""
