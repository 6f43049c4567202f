"""Gates of a suite: what is asked of which metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lockgate.domain.digest import Json


class Kind(StrEnum):
    """What a gate is about; also the names of the lists in `x-gate`."""

    QUALITY = "quality"
    PERFORMANCE = "performance"
    CALIBRATION = "calibration"
    FIDELITY = "fidelity"
    JUDGES = "judges"
    FEATURES = "features"
    DRIFT = "drift"


PASS_RATE, SCORE = "pass-rate", "score"
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p95": 0.95}
MEASURES: Mapping[str, tuple[str, bool]] = {
    "latency": ("latency_ms", False),
    "tokens-per-second": ("tokens_per_s", True),
    "cost": ("cost", False),
    "memory": ("memory_mib", False),
}
"""Metrics of performance: their name in `observed`, and whether more is better."""
FIDELITY = frozenset({"precision", "recall", "f1", "auc"})
KAPPA, FORBIDDEN, PSI = "kappa", "forbidden", "psi"
MIN_CASES = 30
CONFIDENCE = 0.95
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry of a list in `x-gate`."""

    kind: Kind
    metric: str
    statistic: str = ""
    """`rate` or `mean` of quality; `p50`, `p95` or `total` of performance."""
    limit: float | None = None
    """`at_least` or `at_most`, whichever side is good; None: the baseline is the reference."""
    margin: float = 0.0
    confidence: float = CONFIDENCE
    min_cases: int = MIN_CASES
    slice: str = ""
    """Metadata or variable by whose values cases are judged apart."""
    label: str = ""
    """Of fidelity: the class that is looked for."""
    truth: str = ""
    """Of fidelity: metadata or variable with the true label."""
    predicted: str = "output"
    """Of fidelity: where in the output the label is."""
    confidences: str = ""
    """Of calibration and AUC: where in the output the confidence is; nothing: the answer's own."""
    bins: int = 10
    judge: str = ""
    """Of judges: the type of assertion whose agreement with people is asked; nothing: each."""
    forbidden: tuple[str, ...] = ()
    """Of features: names, or prefixes that end in `*`."""
    of: str = ""
    """Of drift: where in the output the value is that must not move."""
    line: int = 0

    @property
    def name(self) -> str:
        """As reports show it: `performance/latency-p95`."""
        parts = [self.metric]
        if self.kind is Kind.PERFORMANCE:
            parts.append(self.statistic)
        forbidden = ", ".join(self.forbidden)[:_SHOWN]
        parts += [part for part in (self.label, self.judge, self.of, forbidden) if part]
        name = f"{self.kind}/{'-'.join(parts)}"
        return f"{name} by baseline" if self.against_baseline else name

    @property
    def against_baseline(self) -> bool:
        """Whether it is judged case by case, or by the distance from the baseline's answers."""
        return self.limit is None or self.kind is Kind.DRIFT

    @property
    def lower_is_better(self) -> bool:
        if self.kind is Kind.PERFORMANCE:
            return not MEASURES[self.metric][1]
        return self.kind in {Kind.CALIBRATION, Kind.FEATURES, Kind.DRIFT}

    @property
    def document(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "kind": str(self.kind),
            "metric": self.metric,
            "statistic": self.statistic,
            "limit": self.limit,
            "margin": self.margin,
            "confidence": self.confidence,
            "min_cases": self.min_cases,
            "slice": self.slice,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Our additions, under `x-gate`."""

    min_cases: int = 1
    """Fewer graded cases than these are inconclusive, not a pass."""
    pass_rate: float | None = 1.0
    """Share of this run's cases that must pass; None: the rules say."""
    rules: tuple[Rule, ...] = ()
    seed: int = 7
    """Of resampling, shuffling and samples."""

    @property
    def document(self) -> dict[str, Json]:
        return {
            "min_cases": self.min_cases,
            "pass_rate": self.pass_rate,
            "rules": [rule.document for rule in self.rules],
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run must note of each case for its rules, so that nothing else varies."""

    slices: frozenset[str] = frozenset()
    measures: frozenset[str] = frozenset()
    truths: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    confidence: bool = False
    features: bool = False
    """What classifiers are given."""

    @property
    def anything(self) -> bool:
        asked = (self.slices, self.measures, self.truths, self.paths, self.confidence)
        return any(asked) or self.features


def wanted(rules: tuple[Rule, ...]) -> Wanted:
    """Return what the rules need beside outcomes and scores."""
    scored = [r for r in rules if r.kind is Kind.CALIBRATION or r.metric == "auc"]
    return Wanted(
        slices=frozenset(r.slice for r in rules if r.slice),
        measures=frozenset(MEASURES[r.metric][0] for r in rules if r.kind is Kind.PERFORMANCE),
        truths=frozenset(r.truth for r in rules if r.truth),
        paths=frozenset(
            {r.predicted for r in rules if r.truth and r.metric != "auc"}
            | {r.confidences for r in scored if r.confidences}
            | {r.of for r in rules if r.of}
        ),
        confidence=any(not r.confidences for r in scored),
        features=any(r.kind is Kind.FEATURES for r in rules),
    )
