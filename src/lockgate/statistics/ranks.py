"""Ranks, with ties sharing the mean of their places."""

import numpy as np

from lockgate.statistics.samples import Array


def midranks(row: Array) -> Array:
    """Return each value's rank from 1; equal values have the mean of their ranks."""
    _, places, sizes = np.unique(row, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    middles: Array = ends - (sizes - 1) / 2
    return middles[places]


def tie_sizes(row: Array) -> Array:
    """Return how many values there are of each distinct one."""
    return np.unique(row, return_counts=True)[1].astype(np.float64)
