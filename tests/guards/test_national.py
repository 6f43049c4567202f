from collections.abc import Callable

import pytest

from lockgate.guards import checksums, national

NUMBERS: list[tuple[Callable[[bytes], bool], bytes]] = [
    (national.chinese_id, b"11010519491231002X"),
    (national.singapore_id, b"S1234567D"),
    (national.swiss_id, b"7569217076985"),
    (national.mexican_id, b"HEGG560427MVZRRL04"),
    (national.brazilian_company, b"11222333000181"),
    (national.chilean_id, b"12.345.678-5"),
    (national.belgian_id, b"85073003328"),
    (national.norwegian_id, b"11077941012"),
    (national.czech_id, b"7801233506"),
    (national.romanian_id, b"1800101221144"),
    (national.turkish_id, b"10000000146"),
    (national.south_african_id, b"8001015009087"),
    (national.portuguese_id, b"123456789"),
    (national.australian_tax_number, b"123456782"),
    (checksums.french_id, b"1 84 12 76 451 089 46"),
]


@pytest.mark.parametrize(("judge", "number"), NUMBERS, ids=lambda value: str(value)[:30])
def test_no_digit_of_a_national_number_can_be_another(
    judge: Callable[[bytes], bool], number: bytes
) -> None:
    assert judge(number)
    for place, digit in enumerate(number):
        if digit in b"0123456789":
            other = b"%d" % ((digit - 48 + 1) % 10)
            assert not judge(number[:place] + other + number[place + 1 :])


def test_the_department_of_a_french_number_may_be_one_of_corsica() -> None:
    key = 97 - int("1841219451089") % 97

    assert checksums.french_id(b"184122A451089%02d" % key)
