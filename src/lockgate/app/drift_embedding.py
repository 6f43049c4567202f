"""Embeds a text of each call that is compared: the audit log keeps no vectors."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lockgate.app.drift_features import EMBEDDING
from lockgate.app.drift_rows import Window
from lockgate.config.environment import Environment
from lockgate.config.load import Loaded
from lockgate.domain.inference import Dispatch, Embed, Embedding

MODEL: Final = "minilm"
_BATCH: Final = 64
_DIGITS: Final = 5
"""Of what is kept between nights: a vector of 384 numbers a call."""


async def embedded(loaded: Loaded, environment: Environment, window: Window) -> Window:
    """Return the window with a vector in each row that has a text; equal texts are embedded once.

    Raises:
        Unavailable: the model is not here; the hint says how to get it.

    """
    known: dict[str, list[float]] = {}
    wanted = [text for text in dict.fromkeys(window.texts) if text.strip()]
    if not wanted:
        return window
    from lockgate.app.backends import Backends, Cassettes
    from lockgate.app.models import model_store

    models = model_store(loaded, environment)
    backends = Backends(loaded, environment, models, Cassettes())
    try:
        backend = backends[models.backend(MODEL)]
        for at in range(0, len(wanted), _BATCH):
            batch = wanted[at : at + _BATCH]
            request = Embed(texts=tuple(batch))
            result = await backend.infer(
                Dispatch(model=MODEL, digest=models.digest(MODEL), request=request)
            )
            assert isinstance(result, Embedding)
            known |= dict(zip(batch, map(_numbers, result.vectors), strict=True))
    finally:
        backends.close()
    rows = [
        {**row, EMBEDDING: known[text]} if text in known else row
        for row, text in zip(window.rows, window.texts, strict=True)
    ]
    return replace(window, rows=rows)


def _numbers(vector: Sequence[float] | bytes) -> list[float]:
    return [round(number, _DIGITS) for number in array("f", vector)]
