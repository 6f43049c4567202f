"""What is done about findings, by data class, and the rules of one direction made ready for it."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.domain.guard import Action, Category, OnFailure
from lockgate.errors import InvalidConfig
from lockgate.guards.compiled import PLACEHOLDER, RESTORE, RuleSet
from lockgate.guards.injection import RULE_IDS
from lockgate.guards.links import link_validator
from lockgate.guards.rules import Rule
from lockgate.guards.stream import Handling, StreamGuard, encode
from lockgate.guards.validators import VALIDATORS, Validator
from lockgate.guards.vault import Vault

SECOND_PASS = "second-pass"  # noqa: S105
"""Id of the rule that findings of a second pass have."""
INJECTION_RULES = (*RULE_IDS, SECOND_PASS)

_RESTORING = Rule(
    id=RESTORE,
    description="placeholder",
    regex=PLACEHOLDER.pattern.decode(),
    keywords=(),
    entropy=0,
    group=0,
    allowed="",
    positives=("<personal:email:1>",),
    negatives=("<a:b>",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is done about the findings of one data class."""

    input: Mapping[Category, Action] = field(default_factory=dict)
    """A category that is not here is off."""
    output: Mapping[Category, Action] = field(default_factory=dict)
    rules: Mapping[str, Action] = field(default_factory=dict)
    """Rules that are handled otherwise than their category, by id."""
    on_failure: OnFailure = OnFailure.CLOSED
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that links of an output may lead to; `*.HOST` for those below one."""
    restored: frozenset[Category] = frozenset()
    """Categories whose values an output gets back in place of their placeholders."""


class RuleSets:
    """Compiled rules, shared by all data classes that run the same ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], RuleSet] = {}

    def of(self, rules: Sequence[Rule], hosts: tuple[str, ...]) -> RuleSet:
        """Return the automata of these rules."""
        key = tuple(rule.id for rule in rules), hosts
        if key not in self._known:
            self._known[key] = RuleSet(rules, validators(hosts))
        return self._known[key]


class Side:
    """The rules of one direction of one data class."""

    def __init__(
        self,
        policy: Policy,
        actions: Mapping[Category, Action],
        rules: Sequence[Rule],
        compiled: RuleSets,
    ) -> None:
        named = [(rule.id, rule.category) for rule in rules]
        named += [(rule, Category.INJECTION) for rule in INJECTION_RULES]
        self._actions = {
            # A rule does not run where its category is off: most policies have two directions.
            rule: policy.rules.get(rule, action) if action is not Action.OFF else action
            for rule, category in named
            for action in (actions.get(category, Action.OFF),)
        }
        self.injection = any(self._actions[rule] is not Action.OFF for rule in INJECTION_RULES)
        self._restored = policy.restored
        self._closed = policy.on_failure is OnFailure.CLOSED
        run = [rule for rule in rules if self._actions[rule.id] is not Action.OFF]
        if policy.restored:
            run.append(_RESTORING)
            self._actions[RESTORE] = Action.REDACT
        self._rules = compiled.of(run, policy.allowed_hosts)

    def action_of(self, rule: str) -> Action:
        """Return what is done about findings of a rule."""
        return self._actions[rule]

    def is_clear(self, text: str) -> bool:
        """Say whether no rule matches in a text."""
        return self._rules.is_clear(encode(text))

    def stream(self, vault: Vault, *, restore: bool = False) -> StreamGuard:
        """Return the guard of one text."""
        restored = self._restored if restore else frozenset()
        return StreamGuard(
            self._rules,
            Handling(lambda rule: self._actions[rule.id], vault, restored, self._closed),
        )


def validators(hosts: tuple[str, ...]) -> Mapping[str, Validator]:
    """Return the validators of rules, that of links with its allow-list."""
    return {**VALIDATORS, "link": link_validator(hosts)}


def check_names(policies: Iterable[Policy], known: set[str]) -> None:
    """Refuse policies that name a rule that does not exist.

    Raises:
        InvalidConfig: with the nearest rule in the hint.

    """
    named = {name for policy in policies for name in policy.rules}
    for name in sorted(named - known):
        near = difflib.get_close_matches(name, known, n=1)
        raise InvalidConfig(
            f"there is no guard rule `{name}`",
            hint=f"did you mean `{near[0]}`?"
            if near
            else "the rules are in docs/concepts/guards.md",
        )
