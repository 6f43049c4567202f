import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.backends.linear import LinearBackend, load
from lockgate.domain.digest import Digest
from lockgate.domain.inference import Classify, Dispatch, Embed, Row
from lockgate.errors import Corrupt, Unavailable
from lockgate.tasks.release_notes import features

WEIGHTS = (
    Path(__file__).parents[2] / "src/lockgate/tasks/release_notes/weights/commit-type.safetensors"
)
COMMITS = {
    "fix": ("Fix a crash when the cache is empty", [("M", "src/cache.py")]),
    "docs": ("Correct a typo in the guide", [("M", "docs/guide.md")]),
    "test": ("Add tests for the parser", [("A", "tests/test_parser.py")]),
    "ci": ("Run the workflow on Arm", [("M", ".github/workflows/ci.yml")]),
}


class Shipped:
    """Implements ports.ModelFiles with the weights of the package."""

    def files(self, model: str, digest: Digest | None = None) -> Mapping[str, Path]:
        return {"weights": WEIGHTS}


def test_plain_commits_get_their_types() -> None:
    rows = tuple(features.row(subject, files) for subject, files in COMMITS.values())
    dispatch = Dispatch(model="commit-type", digest=Digest.of(b"m"), request=Classify(rows=rows))

    result = asyncio.run(LinearBackend(Shipped()).infer(dispatch))

    assert [label.label for label in result.labels] == list(COMMITS)
    for label in result.labels:
        assert sum(label.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert label.confidence == max(label.probabilities.values())


def test_a_row_that_says_nothing_is_abstained_from() -> None:
    head = load(WEIGHTS)

    label = head.judge(Row(tokens=()))

    assert label.label is None or label.confidence >= head.threshold


def test_a_label_depends_on_its_row_alone() -> None:
    rows = tuple(features.row(subject, files) for subject, files in COMMITS.values())
    head = load(WEIGHTS)

    assert [head.judge(row) for row in reversed(rows)] == [head.judge(r) for r in rows][::-1]


def test_the_weights_belong_to_these_features() -> None:
    data = WEIGHTS.read_bytes()
    size = int.from_bytes(data[:8], "little")

    metadata = json.loads(data[8 : 8 + size])["__metadata__"]

    assert metadata["features"] == str(features.VERSION)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), flip=st.integers(0, 600), value=st.integers(0, 255))
def test_a_damaged_file_is_corrupt_and_never_anything_else(
    cut: int, flip: int, value: int, tmp_path: Path
) -> None:
    data = bytearray(WEIGHTS.read_bytes()[: -cut or None])
    data[flip] = value
    path = tmp_path / "damaged"
    path.write_bytes(data)

    try:
        load(path)
    except Corrupt:
        return
    assert cut == 0  # one changed letter of the header may leave it readable, a cut never does


def test_it_only_classifies() -> None:
    dispatch = Dispatch(model="commit-type", digest=Digest.of(b"m"), request=Embed(texts=()))

    with pytest.raises(Unavailable, match="it cannot embed"):
        asyncio.run(LinearBackend(Shipped()).infer(dispatch))
