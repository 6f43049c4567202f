"""Measurements of a recorded run: a run that is played back has those, not its own."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lockgate.domain.digest import Json
from lockgate.errors import Corrupt, StorageFailed
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case

NAME = "measurements.jsonl"
MAX_BYTES = 256 << 20


@dataclass(slots=True)
class Measurements:
    """Latency, cost and more by case, in a folder of recorded inferences."""

    folder: Path
    _found: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    present: bool = False

    @classmethod
    def read(cls, folder: Path) -> "Measurements":
        """Read what a folder has; nothing is there before the first recording.

        Raises:
            Corrupt: the file is not what `write` wrote.

        """
        found = cls(folder)
        path = folder / NAME
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return found
        except OSError as error:
            raise StorageFailed(f"`{path}` cannot be read: {error.strerror}") from error
        found.present = True
        for number, line in enumerate(data.splitlines(), 1):
            try:
                entry = json.loads(line)
                found._found[str(entry["case"])] = dict(entry["measured"])
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise Corrupt(f"`{path}`, line {number} is no measurement: {error}") from None
        return found

    def keep(self, case: Case, response: Response) -> None:
        """Note what was measured of an answer."""
        self._found[_key(case)] = {
            "latency_ms": response.latency_ms,
            "cost": response.cost,
            **response.measures,
        }

    def given(self, case: Case, response: Response) -> Response:
        """Return the answer with what was measured of it when it was recorded."""
        found = dict(self._found.get(_key(case), {}))
        latency, cost = found.pop("latency_ms", None), found.pop("cost", None)
        return replace(
            response,
            latency_ms=_number(latency),
            cost=_number(cost),
            measures={name: float(n) for name, v in found.items() if (n := _number(v)) is not None},
        )

    def write(self) -> None:
        """Write everything, sorted: equal measurements are equal bytes.

        Raises:
            StorageFailed: the folder cannot be written.

        """
        path = self.folder / NAME
        partial = path.with_name(f".{NAME}.{os.getpid()}.partial")
        lines = [
            json.dumps({"case": case, "measured": dict(values)}, sort_keys=True)
            for case, values in sorted(self._found.items())
        ]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_text("".join(f"{line}\n" for line in lines))
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StorageFailed(f"`{path}` cannot be written: {error.strerror}") from error


def _key(case: Case) -> str:
    return case.id + case.input


def _number(value: Json) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value
