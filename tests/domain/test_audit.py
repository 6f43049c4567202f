from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.audit import Entry, Head, seal, seal_all, write
from lockgate.domain.audit_export import decode_event, encode_event
from lockgate.domain.digest import Digest, Json, canonical

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, values, max_size=4), text, text, st.integers(0, 2**40))
def test_an_event_is_encoded_as_it_is_sealed(
    detail: dict[str, Json], name: str, subject: str, seq: int
) -> None:
    head = Head(seq=seq, digest=Digest.of(subject.encode()))
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    entry = Entry(id=name, at=at, actor=subject, action=name, subject=subject, detail=detail)

    after, encoded = seal_all(head, [write(entry), write(entry, canonical(detail))])

    first = seal(head, entry)
    second = seal(Head(seq=first.seq, digest=first.digest), entry)
    assert encoded == [encode_event(first), encode_event(second)]
    assert [decode_event(each) for each in encoded] == [first, second]
    assert after == Head(seq=second.seq, digest=second.digest)
