"""The guards of one configuration, for whole texts and for streams."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, GuardFinding, OnFailure
from lockgate.guards.compiled import RuleSet, self_test
from lockgate.guards.rules import CATALOGUES, Rule, load_rules
from lockgate.guards.stream import Handling, StreamGuard
from lockgate.guards.vault import Vault

_PLACEHOLDER = re.compile(
    r"<(?:secret|personal|injection|links|profanity):[a-z0-9-]{1,64}:[0-9]{1,9}>"
)
_INPUT = (Category.SECRETS, Category.PERSONAL)
_OUTPUT = (Category.SECRETS, Category.PERSONAL, Category.LINKS, Category.PROFANITY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is done about the findings of one data class."""

    input: Mapping[Category, Action] = field(default_factory=dict)
    """A category that is not here is off."""
    output: Mapping[Category, Action] = field(default_factory=dict)
    rules: Mapping[str, Action] = field(default_factory=dict)
    """Rules that are handled otherwise than their category, by id."""
    on_failure: OnFailure = OnFailure.CLOSED
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


class Pipeline:
    """All guards, built once and shared: it keeps no state between calls."""

    def __init__(self, policies: Mapping[DataClass, Policy]) -> None:
        """Load and test the rules.

        Raises:
            InvalidConfig: a rule fails one of its own examples, or a policy names no rule.

        """
        loaded = {category: load_rules(category) for category in CATALOGUES}
        self_test([rule for rules in loaded.values() for rule in rules])
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
            vault.reserve(_PLACEHOLDER.findall(text))
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
        self, policy: Policy, actions: Mapping[Category, Action], rules: Iterable[Rule]
    ) -> None:
        self._actions = {
            rule.id: policy.rules.get(rule.id, actions.get(rule.category, Action.OFF))
            for rule in rules
        }
        self._restored = policy.restored
        self._rules = RuleSet([r for r in rules if self._actions[r.id] is not Action.OFF])

    def stream(self, vault: Vault, *, restore: bool = False) -> StreamGuard:
        restored = self._restored if restore else frozenset()
        return StreamGuard(self._rules, Handling(self._action_of, vault, restored))

    def _action_of(self, rule: Rule) -> Action:
        return self._actions[rule.id]
