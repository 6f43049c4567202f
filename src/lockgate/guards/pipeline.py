"""The guards of one configuration, for whole texts and for streams."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, GuardFinding, OnFailure
from lockgate.errors import InvalidConfig
from lockgate.guards.canary import canary_rules
from lockgate.guards.compiled import PLACEHOLDER, RESTORE, RuleSet, self_test
from lockgate.guards.links import link_validator
from lockgate.guards.rules import CATALOGUES, Rule, load_rules
from lockgate.guards.stream import Handling, StreamGuard, encode
from lockgate.guards.validators import VALIDATORS, Validator
from lockgate.guards.vault import Vault

_INPUT = (Category.SECRETS, Category.PERSONAL)
_OUTPUT = (
    Category.CANARY,
    Category.SECRETS,
    Category.PERSONAL,
    Category.LINKS,
    Category.PROFANITY,
)
_TESTED_HOSTS = ("allowed.example",)
"""The allow-list that the examples of the rules for links are written for."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A text after the guards."""

    text: str
    findings: tuple[GuardFinding, ...] = ()
    blocked: GuardFinding | None = None
    """The finding that stops the text; `text` ends before it."""
    data_class: DataClass = DataClass.INTERNAL
    vault: Vault = field(default_factory=Vault, repr=False, compare=False)
    """What the placeholders stand for. Give it to the next scan of the same call."""


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


class Pipeline:
    """All guards, built once and shared: it keeps no state between calls."""

    def __init__(
        self, policies: Mapping[DataClass, Policy], *, canaries: tuple[str, ...] = ()
    ) -> None:
        """Load and test the rules.

        `canaries` are tokens of system prompts, which must not come out of a model.

        Raises:
            InvalidConfig: a rule fails one of its own examples, a canary is no token, or a policy
                names a rule that does not exist.

        """
        loaded = {category: load_rules(category) for category in CATALOGUES}
        loaded[Category.CANARY] = canary_rules(canaries)
        every = [rule for rules in loaded.values() for rule in rules]
        self_test(every, _validators(_TESTED_HOSTS))
        _check_names(policies.values(), {rule.id for rule in every})
        self._sides = {
            data_class: (
                _Side(policy, policy.input, [r for c in _INPUT for r in loaded[c]]),
                _Side(policy, policy.output, [r for c in _OUTPUT for r in loaded[c]]),
            )
            for data_class, policy in policies.items()
        }

    def scan_input(
        self, text: str, *, data_class: DataClass = DataClass.INTERNAL, vault: Vault | None = None
    ) -> Scanned:
        """Return the text as it may go to a model.

        `vault` comes from the scan of an earlier text of the same call, so that equal values keep
        their placeholder.
        """
        side = self._sides[data_class][0]
        vault = Vault() if vault is None else vault
        if "<" in text:
            vault.reserve(m[0].decode() for m in PLACEHOLDER.finditer(encode(text)))
        stream = side.stream(vault)
        clean = stream.feed(text) + stream.finish()
        return Scanned(
            text=clean,
            findings=stream.findings,
            blocked=stream.blocked,
            data_class=data_class,
            vault=vault,
        )

    def output_stream(self, scanned: Scanned) -> StreamGuard:
        """Return the guard of the answer to an input."""
        scanned.vault.end_of_input()
        return self._sides[scanned.data_class][1].stream(scanned.vault, restore=True)


class _Side:
    """The rules of one direction of one data class."""

    def __init__(
        self, policy: Policy, actions: Mapping[Category, Action], rules: Sequence[Rule]
    ) -> None:
        self._actions = {
            rule.id: policy.rules.get(rule.id, actions.get(rule.category, Action.OFF))
            for rule in rules
        }
        self._restored = policy.restored
        run = [rule for rule in rules if self._actions[rule.id] is not Action.OFF]
        if policy.restored:
            run.append(_RESTORING)
            self._actions[RESTORE] = Action.REDACT
        self._rules = RuleSet(run, _validators(policy.allowed_hosts))

    def stream(self, vault: Vault, *, restore: bool = False) -> StreamGuard:
        restored = self._restored if restore else frozenset()
        return StreamGuard(self._rules, Handling(self._action_of, vault, restored))

    def _action_of(self, rule: Rule) -> Action:
        return self._actions[rule.id]


def _validators(hosts: tuple[str, ...]) -> Mapping[str, Validator]:
    return {**VALIDATORS, "link": link_validator(hosts)}


def _check_names(policies: Iterable[Policy], known: set[str]) -> None:
    named = {name for policy in policies for name in policy.rules}
    for name in sorted(named - known):
        near = difflib.get_close_matches(name, known, n=1)
        raise InvalidConfig(
            f"there is no guard rule `{name}`",
            hint=f"did you mean `{near[0]}`?"
            if near
            else "docs/concepts/guards.md lists the rules",
        )
