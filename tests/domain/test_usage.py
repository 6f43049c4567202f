from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.usage import Usage

COUNTS = st.integers(0, 10**12)
USAGES = st.builds(
    Usage,
    inferences=COUNTS,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cost_micros=COUNTS,
    duration_us=COUNTS,
)


def test_every_resource_is_added() -> None:
    one = Usage(inferences=1, input_tokens=2, output_tokens=3, cost_micros=4, duration_us=5)

    assert one + one == Usage(
        inferences=2, input_tokens=4, output_tokens=6, cost_micros=8, duration_us=10
    )


@given(USAGES, USAGES, USAGES)
def test_usages_add_in_any_order(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == c + (b + a)
    assert a + Usage() == a
