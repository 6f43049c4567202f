from lockgate.tasks.release_notes.highlights import MOST, pick
from tasks.release_notes.fakes import change


def test_breaking_and_security_come_before_features_and_fixes() -> None:
    sections = {
        "breaking": [change("Drop the old API", type="feat")],
        "added": [change("Add a new thing", type="feat")],
        "fixed": [change("Stop the crash there", type="fix")],
        "security": [change("Close the hole here", type="security")],
        "internal": [change("Tidy up all things", type="chore")],
    }
    assert [c.text for c in pick(sections)] == [
        "Drop the old API",
        "Close the hole here",
        "Add a new thing",
        "Stop the crash there",
    ]


def test_work_that_shows_weighs_more() -> None:
    big = change("Add the big thing", body="why " * 300, files=(("A", "a"), ("A", "b")))
    assert pick({"added": [change("Add something small"), big]})[0] == big


def test_no_two_highlights_say_the_same_and_there_are_few() -> None:
    alike = [change("Add the dark mode"), change("Add dark mode")]
    many = [change(f"Add part{n} to module{n}") for n in range(20)]
    assert len(pick({"added": alike})) == 1
    assert len(pick({"added": many})) == MOST


def test_notes_that_face_no_user_have_no_highlights() -> None:
    assert pick({"internal": [change("Tidy up")], "documentation": [change("Explain it")]}) == ()
