"""Slices: the same measure on parts of the cases, such as one language each."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from lockgate.statistics.bootstrap import Places

T = TypeVar("T")


def by_slice(slices: Sequence[str], measure: Callable[[Places], T]) -> dict[str, T]:
    """Return what `measure` says of each slice, in the order of their names.

    It gets the places of the slice's cases. Gates of many slices are a family: see `Gate.family`.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(slices):
        places.setdefault(name, []).append(place)
    return {name: measure(np.array(places[name], dtype=np.intp)) for name in sorted(places)}
