from pathlib import Path

import pytest

from lockgate.app.access import EVERYBODY, read_access
from lockgate.domain.search import Reading
from lockgate.errors import InvalidConfig, NotFound


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "access.toml"
    path.write_text(text)
    return path


def test_the_first_rule_that_fits_a_path_counts(tmp_path: Path) -> None:
    access = read_access(
        written(
            tmp_path,
            '[[documents]]\npath = "hr/pay/*"\nreaders = []\n'
            '[[documents]]\npath = "hr/*"\nreaders = ["hr/*"]\nclassification = "internal"\n',
        )
    )
    assert access.of("hr/pay/a.md") == Reading(readers=())
    assert access.of("hr/b.md") == Reading(readers=("hr/*",), classification="internal")
    assert access.of("c.md") == Reading() == EVERYBODY.of("c.md")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path = 1", "expected `\\[\\[documents\\]\\]` alone"),
        ("documents = 1", "expected `\\[\\[documents\\]\\]` alone"),
        ("[[", "is not TOML"),
        ('[[documents]]\nreaders = ["a"]', r"documents\[0\].path: is missing"),
        ('[[documents]]\npath = "a"\nreaders = "a"', "readers: is not a list of names"),
        ('[[documents]]\npath = "a"\nreaders = [""]', "readers: is not a list of names"),
        ('[[documents]]\npath = "a"\nreader = ["a"]', "reader: is not a known key"),
        ('[[documents]]\npath = "a"\nclassification = "x"', "is `x`, not one of public, internal"),
    ],
)
def test_a_malformed_file_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InvalidConfig, match=said):
        read_access(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"access.toml` does not exist"):
        read_access(tmp_path / "access.toml")
