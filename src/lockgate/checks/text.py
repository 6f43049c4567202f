"""The texts in a value."""

from collections.abc import Iterator, Mapping

from lockgate.domain.digest import Json


def texts(value: Json) -> Iterator[str]:
    """Yield every string of a value in order, the names of members left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)
