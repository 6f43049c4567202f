"""A text that is made of matches ends where it can no longer be judged in time."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, OnFailure
from lockgate.guards import stream
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.policy import Policy
from lockgate.guards.stream import BYTES_PER_MATCH, MOST_MATCHES, TOO_MANY

ACTIONS = {Category.PERSONAL: Action.REDACT, Category.SECRETS: Action.REDACT}
PIPELINE = Pipeline(
    {
        DataClass.INTERNAL: Policy(input=ACTIONS, output=ACTIONS),
        DataClass.PUBLIC: Policy(input=ACTIONS, output=ACTIONS, on_failure=OnFailure.OPEN),
    }
)
MAIL = "a@acme.io\n"


def scan(text: str, data_class: DataClass = DataClass.INTERNAL) -> Scanned:
    return PIPELINE.scan_input(text, data_class=data_class)


def test_a_text_of_nothing_but_matches_is_blocked_behind_the_most_that_are_judged() -> None:
    scanned = scan(MAIL * 20_000)

    assert scanned.blocked is not None
    assert (scanned.blocked.rule, scanned.blocked.category) == (TOO_MANY, Category.FAILURE)
    judged = scanned.blocked.start // len(MAIL)
    assert judged == MOST_MATCHES + scanned.blocked.start // BYTES_PER_MATCH
    assert "@" not in scanned.text
    assert scanned.text.count("<personal:") == judged
    assert PIPELINE.description(TOO_MANY) == "more matches than can be judged"


def test_matches_that_are_not_taken_count_too() -> None:
    scanned = scan("4111 1111 1111 1112\n" * 20_000)

    assert scanned.blocked is not None
    assert {finding.rule for finding in scanned.findings} == {TOO_MANY}


def test_a_long_text_with_a_match_every_hundred_bytes_is_judged_to_its_end() -> None:
    lines = 5000

    scanned = scan((MAIL + "x " * 64) * lines)

    assert scanned.blocked is None
    assert len(scanned.findings) == lines
    assert "@" not in scanned.text


def test_where_failures_are_open_the_rest_passes_with_a_finding_that_says_so() -> None:
    text = MAIL * 20_000

    scanned = scan(text, DataClass.PUBLIC)

    assert scanned.blocked is None
    *found, flood = scanned.findings
    assert (flood.rule, flood.action) == (TOO_MANY, Action.FLAG)
    assert {finding.rule for finding in found} == {"email"}
    assert scanned.text.endswith(text[flood.start :])
    assert "@" not in scanned.text[: -len(text[flood.start :])]


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from([MAIL, "ghp_", "81.2.69.142 ", "é", "x ", "://"]), st.integers(1, 90)
        ),
        max_size=8,
    ),
    places=st.lists(st.integers(0, 6000), max_size=12),
    open_=st.booleans(),
)
def test_where_a_flood_ends_does_not_depend_on_the_cuts(
    parts: Sequence[tuple[str, int]], places: Sequence[int], *, open_: bool
) -> None:
    text = "".join(unit * count for unit, count in parts)
    cuts = sorted({0, len(text), *(min(place, len(text)) for place in places)})
    data_class = DataClass.PUBLIC if open_ else DataClass.INTERNAL

    def run(chunks: Sequence[str]) -> object:
        guard = PIPELINE.output_stream(Scanned(text="", data_class=data_class))
        out = "".join(map(guard.feed, chunks)) + guard.finish()
        return out, guard.findings, guard.blocked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "MOST_MATCHES", 20)
        expected = run([text])
        whole = PIPELINE.output_stream(Scanned(text="", data_class=data_class))

        assert run([text[a:b] for a, b in pairwise(cuts)]) == expected == run(list(text))
        assert (whole.whole(text), whole.findings, whole.blocked) == expected
