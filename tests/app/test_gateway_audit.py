from hypothesis import example, given
from hypothesis import strategies as st

from lockgate.app.gateway_audit import quick_canonical
from lockgate.domain.digest import Json, JsonObject, canonical

text = st.text(st.characters(), max_size=12)
values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(-1e9, 1e9) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, values, max_size=4))
@example({"".join(map(chr, range(128))): "".join(map(chr, range(128)))})
@example({"\ufb33": 1, "\U0001f600": 2})
def test_the_quick_encoding_is_the_canonical_one_or_none(value: JsonObject) -> None:
    quick = quick_canonical(value)
    assert quick is None or quick == canonical(value)


def test_what_a_call_leaves_is_encoded_quickly() -> None:
    detail: JsonObject = {
        "status": 200,
        "upstream": None,
        "usage": {"b": 1, "a": 2},
        "passed": ["x"],
    }
    assert quick_canonical(detail) == canonical(detail)
