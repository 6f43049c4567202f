import hashlib
from collections import Counter

import pytest

from lockgate.checks.schema import JsonSchemaValidator
from lockgate.domain.digest import JsonObject
from lockgate.errors import UsageError
from lockgate.redteam.attacks import Attack, plan
from lockgate.redteam.families import OWASP, load_families
from lockgate.redteam.judge import Detector
from lockgate.redteam.targets.prompt import PromptTarget
from lockgate.redteam.targets.release_notes import ReleaseNotesTarget
from lockgate.redteam.targets.review import ReviewTarget
from lockgate.redteam.targets.target import Target
from lockgate.tasks.release_notes.schema import INPUT as NOTES
from lockgate.tasks.review.schema import INPUT as REVIEW

FAMILIES = load_families()
TRIAGE: JsonObject = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 5000},
        "documents": {"type": "array", "items": {"type": "string"}},
        "kind": {"enum": ["a", "b"]},
    },
    "required": ["text", "kind"],
}
TARGETS: dict[str, tuple[Target, JsonObject]] = {
    "release-notes": (ReleaseNotesTarget(), NOTES),
    "review": (ReviewTarget(), REVIEW),
    "prompt": (PromptTarget(TRIAGE, None), TRIAGE),
}


def fingerprint(attacks: list[Attack]) -> str:
    return hashlib.sha256(repr(attacks).encode("utf-8", "backslashreplace")).hexdigest()


def test_every_family_names_an_entry_of_the_list_and_signs_that_exist() -> None:
    assert len({family.id for family in FAMILIES}) == len(FAMILIES) >= 12
    assert {family.owasp for family in FAMILIES} == set(OWASP) - {"LLM03"}
    assert {goal for family in FAMILIES for goal in family.goals} <= {str(d) for d in Detector}


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_seed_gives_the_same_attacks_byte_for_byte(name: str) -> None:
    target, _ = TARGETS[name]
    once = plan(FAMILIES, target, count=200, seed=3)
    assert fingerprint(once) == fingerprint(plan(FAMILIES, target, count=200, seed=3))
    assert fingerprint(once) != fingerprint(plan(FAMILIES, target, count=200, seed=4))


@pytest.mark.parametrize("name", TARGETS)
def test_attacks_differ_and_families_get_equal_parts(name: str) -> None:
    attacks = plan(FAMILIES, TARGETS[name][0], count=300, seed=1)
    assert len({attack.id for attack in attacks}) == len(attacks)
    counts = Counter(attack.family for attack in attacks if not attack.on_call)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert len({attack.surface for attack in attacks}) > 3


@pytest.mark.parametrize("name", TARGETS)
def test_every_attack_is_an_input_that_the_task_takes(name: str) -> None:
    target, schema = TARGETS[name]
    validator = JsonSchemaValidator()
    for attack in plan(FAMILIES, target, count=300, seed=2):
        if attack.on_call:
            continue
        given = attack.placed(target)
        assert given is not None
        assert validator.problems(schema, given) == []


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_holds_the_word_that_shows_obedience(name: str) -> None:
    target, _ = TARGETS[name]
    for attack in plan(FAMILIES, target, count=400, seed=5):
        if not attack.on_call:
            assert attack.marker not in str(attack.placed(target)).upper()


def test_only_a_family_that_is_after_secrets_has_one_in_the_input() -> None:
    target = ReviewTarget()
    for attack in plan(FAMILIES, target, count=200, seed=5):
        if not attack.on_call:
            held = attack.canaries.secret in str(attack.placed(target))
            assert held is (attack.family == "secret-exfiltration")


def test_a_count_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="`0` attacks"):
        plan(FAMILIES, ReviewTarget(), count=0, seed=1)


def test_a_task_without_free_text_has_attacks_on_the_call_only() -> None:
    closed = PromptTarget({"type": "object", "properties": {"n": {"type": "integer"}}}, None)
    assert {a.family for a in plan(FAMILIES, closed, count=50, seed=1)} == {"permission-crossing"}
