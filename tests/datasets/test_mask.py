import json
import time

import pytest

from lockgate.datasets.mask import Masking
from lockgate.domain.digest import JsonObject
from lockgate.errors import InvalidInput

KEY = b"a key of sixteen bytes"


def masked(text: str, key: bytes = KEY) -> str:
    return Masking(key=key).text(text)


@pytest.mark.parametrize(
    "personal",
    [
        "ana.lopez+ci@corp.example.com",
        "192.168.17.4",
        "fe80::1ff:fe23:4567:890a",
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "4111 1111 1111 1111",
        "+49 (0)30 1234-5678",
        "(555) 010-9988",
        "030 / 1234 567",
    ],
)
def test_personal_data_are_replaced_and_what_stands_around_them_stays(personal: str) -> None:
    found = masked(f"before {personal}, after")
    assert personal not in found
    assert found.startswith("before ")
    assert found.endswith(", after")
    digits = [c for c in personal if c.isdigit()]
    assert "".join(digits) not in "".join(c for c in found if c.isdigit()) or not digits


@pytest.mark.parametrize(
    "text",
    [
        "version 1.22.333 build 20260101",
        "took 12345678 ms and 1234567890123456 ns",
        "commit 0f4810eabcdef at 10:20:30",
        "127.0.0.1 and ::1 are this machine",
        "999.1.1.1 is no address",
        "2026-11-21 07:40:46",
        "a@b is no address, @ana is a handle",
        "DE00 3704 0044 0532 0130 00",
        "std::vector::size() and a::b",
    ],
)
def test_what_is_no_personal_data_stays(text: str) -> None:
    assert masked(text) == text


def test_the_same_person_has_the_same_pseudonym_under_one_key_only() -> None:
    first, second = masked("from ana@corp.com to bo@corp.com"), masked("ANA@corp.com wrote")
    assert first.split()[1] == second.split()[0]
    assert first.split()[1] != first.split()[3]
    assert masked("ana@corp.com", b"another key, as long") != masked("ana@corp.com")


def test_names_of_members_are_masked_wherever_they_stand() -> None:
    row: JsonObject = {
        "author": {"name": "Ana López"},
        "reviewers": [{"name": "Bo"}, {"name": "Caro Diaz"}],
        "text": "Thanks to ana lópez and Caro Diaz, not to Anastasia or Bob",
        "Ana López": 1,
    }
    masking = Masking(key=KEY, names=("author.name", "reviewers.name"))
    found = json.dumps(masking.row(row), ensure_ascii=False)
    assert "ópez" not in found
    assert "Caro" not in found
    assert "Anastasia or Bob" in found
    assert masking.counts["name"] >= 4
    (author,) = (masking.row(row)["author"],)
    assert isinstance(author, dict)
    assert str(author["name"]) in str(masking.row(row)["text"])


def test_masking_twice_changes_nothing_more() -> None:
    text = "ana@corp.com 10.1.2.3 +49 30 12345678 4111111111111111 GB82WEST12345698765432"
    once = masked(text)
    assert masked(once) == once


def test_a_lone_surrogate_breaks_nothing() -> None:
    assert masked("\ud800 ana@corp.com".encode("utf-8", "replace").decode()).startswith("?")
    row = Masking(key=KEY).row({"t": "\ud800 ana@corp.com"})
    assert "ana" not in str(row)


@pytest.mark.parametrize("unit", ["1 ", "a@", "a.", "1-", "::", "AB12 ", "(1", "1.1.1.1."])
def test_time_is_linear_in_the_text(unit: str) -> None:
    def taken(size: int) -> float:
        started = time.process_time()
        masked(unit * size)
        return time.process_time() - started

    taken(100)
    assert taken(20_000) < 40 * max(taken(2_000), 0.005)


def test_a_short_key_is_refused_and_no_key_is_shown() -> None:
    with pytest.raises(InvalidInput, match="the key has 5 bytes"):
        Masking(key=b"short")
    assert "sixteen" not in repr(Masking(key=KEY))
