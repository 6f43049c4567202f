import pytest

from lockgate.tasks.release_notes.own_history import judge

EARLIER = {
    "site": {"docs": 20},
    "src": {"feat": 6, "fix": 6},
    "site/app": {"feat": 9, "fix": 1},
    "few": {"ci": 5},
}


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        (["site/a.txt"], "docs"),
        (["site/a.txt", "site/deep/er/b.txt"], "docs"),
        (["site/app/x.ts"], "feat"),
        (["site/a.txt", "site/app/x.ts"], None),
        (["src/a.py"], None),
        (["few/a"], None),
        (["unknown/a"], None),
        ([], None),
    ],
)
def test_a_folder_speaks_only_if_it_is_clear(paths: list[str], kind: str | None) -> None:
    found = judge(EARLIER, [("M", path) for path in paths])
    assert (found[0] if found else None) == kind
