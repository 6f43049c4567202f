"""Statistics of gates: intervals, paired and sequential tests, quality measures, drift."""
