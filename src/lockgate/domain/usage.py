"""What a call costs, and what it may cost. Integers only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources that some inferences took. Add usages with `+`."""

    inferences: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    """Millionths of the configured currency."""
    duration_us: int = 0
    """Microseconds from dispatch to result, by a monotonic clock."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            inferences=self.inferences + other.inferences,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_micros=self.cost_micros + other.cost_micros,
            duration_us=self.duration_us + other.duration_us,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that one call may use. Counted, not timed, so that a slow machine agrees."""

    inferences: int = 10_000
    output_tokens: int = 4_096
    timeout_s: int = 600
    """Seconds after which one inference is given up as unavailable."""
