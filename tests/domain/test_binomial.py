import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lockgate.domain.binomial import clopper_pearson


@given(st.integers(1, 400), st.data())
def test_the_interval_is_that_of_scipy(total: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, total))

    expected = binomtest(passed, total).proportion_ci(0.95, method="exact")

    assert clopper_pearson(passed, total) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("passed", "total"), [(0, 0), (-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(passed: int, total: int) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        clopper_pearson(passed, total)
