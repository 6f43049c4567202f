#!/usr/bin/env python3
"""Train the classifier of prompt injections on our own texts, and write its weights.

usage: tools/train_injection.py [TARGET.json]

Logistic regression with an L2 penalty, full gradient descent, in plain floating point and a fixed
order: the same texts and features give the same bytes on every machine. Weights are rounded to two
decimals. `bench/guards.py` measures precision and recall on texts that were not trained on.
"""

import json
import math
import sys
from collections import Counter
from pathlib import Path

from injection_texts import NEGATIVES, POSITIVES, Dice, texts
from lockgate.guards.injection import InjectionGuard, load_features

TARGET = Path("src/lockgate/guards/injection.json")
EACH = 40
SEED = 20_261
ROUNDS = 3000
RATE = 0.8
PENALTY = 0.0004
ENCODED = 0.7
"""Weight of an undone encoding: chosen, since the texts hold none."""
FLOORS = {
    "overrides-instructions": 2.7,
    "squeezed": 3.5,
    "chat-markup": 3.5,
    "other-language-override": 3.5,
    "other-language-prompt": 3.5,
    "other-language-role": 3.5,
    "code": -1.0,
    "about-it": -1.0,
    "question": -1.0,
}
"""The least weights; that of the others is 0. Only three features may lower a score, and by little:
whoever attacks chooses the words, so nothing that can be added to an order may hide it."""
CEILINGS = {"code": 0.0, "about-it": 0.0, "question": 0.0}
"""The most that they may weigh: they speak against an order, or not at all."""
LEAST = {"input": 1.2, "retrieved": 0.55}
"""Logits. What is retrieved has no business to give orders; a user has."""

Row = tuple[tuple[int, ...], int]


def rows(guard: InjectionGuard) -> Counter[Row]:
    """Return how often each set of features occurs with each label."""
    dice = Dice(SEED)
    counted: Counter[Row] = Counter()
    for label, templates in ((1, POSITIVES), (0, NEGATIVES)):
        for text in texts(templates, EACH, dice):
            counted[guard.features(guard.prepared(text)), label] += 1
    return counted


def train(counted: Counter[Row], bounds: list[tuple[float, float]]) -> tuple[float, list[float]]:
    """Return the bias and the weights, each within its bounds. Both labels weigh the same."""
    totals = Counter(label for (_, label), n in counted.items() for _ in range(n))
    data = [(hits, label, n / totals[label] / 2) for (hits, label), n in sorted(counted.items())]
    bias, weights = 0.0, [0.0] * len(bounds)
    for _ in range(ROUNDS):
        slope, slopes = 0.0, [PENALTY * weight for weight in weights]
        for hits, label, share in data:
            logit = bias
            for hit in hits:
                logit += weights[hit]
            error = (1 / (1 + math.exp(-logit)) - label) * share
            slope += error
            for hit in hits:
                slopes[hit] += error
        bias -= RATE * slope
        steps = zip(weights, slopes, bounds, strict=True)
        weights = [min(high, max(low, weight - RATE * s)) for weight, s, (low, high) in steps]
    return bias, weights


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    names = list(load_features())
    if not TARGET.exists():
        TARGET.write_text(_document(0.0, dict.fromkeys(names, 0.0)), "utf-8")
    bounds = [(FLOORS.get(name, 0.0), CEILINGS.get(name, math.inf)) for name in names]
    bias, weights = train(rows(InjectionGuard()), bounds)
    target.write_text(_document(bias, dict(zip(names, weights, strict=True))), "utf-8")


def _document(bias: float, weights: dict[str, float]) -> str:
    rounded = {name: round(weight, 2) for name, weight in weights.items()}
    document = {"bias": round(bias, 2), "least": LEAST, "weights": {**rounded, "encoded": ENCODED}}
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    main()
