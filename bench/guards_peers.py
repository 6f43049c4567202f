"""The peers of `bench/guards.py`, each run as its documentation says for a text in memory."""

import time


def detect_secrets(text: str) -> float | None:
    """Return the CPU seconds of detect-secrets with its default plugins, or None without it."""
    try:
        from detect_secrets.core.scan import scan_line  # noqa: PLC0415
        from detect_secrets.settings import default_settings  # noqa: PLC0415
    except ImportError:
        return None
    with default_settings():
        started = time.process_time()
        for line in text.splitlines():
            list(scan_line(line))
        return time.process_time() - started


def presidio(text: str) -> float | None:
    """Return the CPU seconds of presidio-analyzer's patterns, without a language model."""
    try:
        from presidio_analyzer import (  # type: ignore[import-not-found] # noqa: PLC0415
            PatternRecognizer,
        )
        from presidio_analyzer.recognizer_registry import (  # type: ignore[import-not-found] # noqa: PLC0415
            RecognizerRegistry,
        )
    except ImportError:
        return None
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    recognizers = [r for r in registry.recognizers if isinstance(r, PatternRecognizer)]
    pieces = [text[at : at + 4096] for at in range(0, len(text), 4096)]
    started = time.process_time()
    for piece in pieces:
        for recognizer in recognizers:
            recognizer.analyze(piece, recognizer.supported_entities)
    return time.process_time() - started
