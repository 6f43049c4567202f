from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, GuardFinding
from lockgate.guards.pipeline import Pipeline, Scanned
from lockgate.guards.policy import Policy
from lockgate.guards.rules import CATALOGUES, expand, load_rules
from lockgate.guards.stream import GRID, MAX_MATCH

EVERYTHING = dict.fromkeys(Category, Action.REDACT)
PIPELINE = Pipeline({DataClass.INTERNAL: Policy(input=EVERYTHING, output=EVERYTHING)})
POSITIVES = [expand(p) for c in CATALOGUES for rule in load_rules(c) for p in rule.positives]
TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"

MIXED = Pipeline(
    {
        DataClass.INTERNAL: Policy(
            input=EVERYTHING,
            output=EVERYTHING,
            rules={"iban": Action.BLOCK, "ipv4": Action.SHADOW, "url": Action.FLAG},
            restored=frozenset({Category.PERSONAL}),
        )
    },
    canaries=("q7Zp3VtX9LmK2w",),
)
PIECES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(POSITIVES),
    st.sampled_from(POSITIVES).flatmap(
        lambda text: st.integers(0, len(text)).map(lambda at: text[:at])
    ),
    st.sampled_from([" ", "\n", "=", ":", '"', "://", "@", "+", ".", "-", "é", "<", "1", "the "]),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def cut(text: str, places: Sequence[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def through(chunks: Sequence[str]) -> tuple[str, tuple[GuardFinding, ...]]:
    stream = PIPELINE.output_stream(Scanned(text=""))
    out = "".join(map(stream.feed, chunks)) + stream.finish()
    return out, stream.findings


@settings(max_examples=1500, deadline=None)
@given(text=TEXTS | TEXTS.map(lambda text: text * 40))
def test_a_text_in_one_pass_is_the_same_as_in_two(text: str) -> None:
    stream = PIPELINE.output_stream(Scanned(text=""))
    assert (stream.whole(text), stream.findings) == through([text])


@settings(max_examples=1500, deadline=None)
@given(text=TEXTS, places=st.lists(st.integers(0, 4000), max_size=12))
def test_however_a_text_is_cut_the_output_and_the_findings_are_the_same(
    text: str, places: Sequence[int]
) -> None:
    assert through(cut(text, places)) == through([text])


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(
        st.sampled_from(
            (
                "a@acme.io",
                "<personal:email:1>",
                "<personal:email:2>",
                "81.2.69.142",
                "é",
                " ",
                "https://x.io/",
                "GB29NWBK60161331926819",
                "q7Zp3VtX9LmK2w",
                "<",
                "z",
                "(",
                "\n",
                ".",
            )
        ),
        max_size=9,
    ),
    places=st.lists(st.integers(0, 200), max_size=6),
)
def test_blocks_shadows_and_restored_values_do_not_depend_on_the_cuts(
    parts: Sequence[str], places: Sequence[int]
) -> None:
    def run(chunks: Sequence[str]) -> tuple[str, object, object]:
        stream = MIXED.output_stream(MIXED.scan_input("jane@acme.io"))
        out = "".join(map(stream.feed, chunks)) + stream.finish()
        return out, stream.findings, stream.blocked

    text = "".join(parts)

    assert run(cut(text, places)) == run([text]) == run(list(text))


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_a_text_that_comes_one_character_at_a_time_is_cleaned_like_the_whole(text: str) -> None:
    assert through(list(text)) == through([text])


RUNAWAY = st.lists(
    st.tuples(
        st.sampled_from(
            [
                TOKEN,
                "ghp_",
                "a",
                "://u:",
                "é",
                "x@",
                "eyA.",
                " ",
                "\n",
                "1-",
                "-----BEGIN PRIVATE KEY-----",
            ]
        ),
        st.integers(1, 9000),
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: "".join((text * n)[: max(n, len(text))] for text, n in parts))


@settings(max_examples=60, deadline=None)
@given(text=RUNAWAY, places=st.lists(st.integers(0, 40_000), max_size=20))
@example(text="ghp_" + "aB3" * 9000 + " end", places=[1, GRID, MAX_MATCH, 20_000])
def test_matches_without_an_end_are_decided_alike_however_the_text_is_cut(
    text: str, places: Sequence[int]
) -> None:
    assert through(cut(text, places)) == through([text])
