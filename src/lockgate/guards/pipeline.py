"""The guards of one configuration, for whole texts and for streams."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, Category, GuardFinding, OnFailure
from lockgate.errors import LockgateError
from lockgate.guards.arguments import ArgumentsGuard
from lockgate.guards.canary import canary_rules
from lockgate.guards.compiled import PLACEHOLDER, self_test
from lockgate.guards.injection import InjectionGuard, Suspect, apart
from lockgate.guards.policy import (
    INJECTION_RULES,
    SECOND_PASS,
    Policy,
    RuleSets,
    Side,
    check_names,
    validators,
)
from lockgate.guards.quarantine import quarantine
from lockgate.guards.rules import CATALOGUES, load_rules
from lockgate.guards.stream import TOO_MANY, StreamGuard, encode
from lockgate.guards.vault import Vault

MOST_CHARS = 16_000_000
"""A longer text is not judged."""
SHORT = 1024
"""Characters up to which it is quicker to look twice at the few texts that do not pass."""
PART_CHARS = 8192
"""How much of a long text `scanning` looks at without a pause."""
TOO_LONG = "too-long"
NO_SECOND_PASS = "no-second-pass"  # noqa: S105

_FAILURES = {
    TOO_LONG: "text too long to be judged",
    TOO_MANY: "more matches than can be judged",
    NO_SECOND_PASS: "no answer of the second pass",
}

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


class SecondPass(Protocol):
    """Judges a text after the rules, by a model for instance. It can only add findings."""

    def suspects(self, text: str, *, retrieved: bool) -> Iterable[Suspect]:
        """Return the parts of the text, which holds placeholders by now, that give orders.

        Raises:
            LockgateError: it cannot judge; the policy says what happens to the text.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A text after the guards."""

    text: str
    findings: tuple[GuardFinding, ...] = ()
    """In order of place. Those of a second pass come last; their places are in what it saw."""
    blocked: GuardFinding | None = None
    """The finding that stops the text; `text` ends before it."""
    data_class: DataClass = DataClass.INTERNAL
    vault: Vault = field(default_factory=Vault, repr=False, compare=False)
    """What the placeholders stand for. Give it to the next scan of the same call."""


class Pipeline:
    """All guards, built once and shared: it keeps no state between calls."""

    def __init__(
        self,
        policies: Mapping[DataClass, Policy],
        *,
        canaries: tuple[str, ...] = (),
        second_pass: SecondPass | None = None,
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
        self_test(every, validators(_TESTED_HOSTS))
        check_names(policies.values(), {rule.id for rule in every} | set(INJECTION_RULES))
        self._policies = policies
        self._descriptions = {rule.id: rule.description for rule in every} | _FAILURES
        self._second_pass = second_pass
        compiled = RuleSets()
        self._sides = {
            data_class: (
                Side(policy, policy.input, [r for c in _INPUT for r in loaded[c]], compiled),
                Side(policy, policy.output, [r for c in _OUTPUT for r in loaded[c]], compiled),
            )
            for data_class, policy in policies.items()
        }
        self._injection = InjectionGuard()

    def scan_input(
        self,
        text: str,
        *,
        data_class: DataClass = DataClass.INTERNAL,
        vault: Vault | None = None,
        retrieved: bool = False,
    ) -> Scanned:
        """Return the text as it may go to a model.

        `vault` comes from the scan of an earlier text of the same call, so that equal values keep
        their placeholder. `retrieved` says that no user wrote the text: it may give no orders.
        """
        side = self._sides[data_class][0]
        vault = Vault() if vault is None else vault
        if len(text) > MOST_CHARS:
            return self._unjudged(Scanned(text=text, data_class=data_class, vault=vault), TOO_LONG)
        suspects = self._suspects(text, side, vault, retrieved=retrieved)
        if suspects:
            scanned = _quarantined(text, suspects, side, vault, data_class)
        else:
            stream = side.stream(vault)
            clean = stream.whole(text)
            scanned = _passed(clean, stream, vault, data_class)
        return (
            scanned if self._second_pass is None else self._reviewed(scanned, retrieved=retrieved)
        )

    def passes(self, text: str, *, data_class: DataClass, output: bool = False) -> bool:
        """Say whether the guards have nothing to do about a short text.

        False says nothing: the text has to be scanned.
        """
        side = self._sides[data_class][output]
        if len(text) > SHORT or (not output and (side.injection or "<" in text)):
            return False
        return side.is_clear(text)

    def scanning(
        self,
        text: str,
        *,
        data_class: DataClass = DataClass.INTERNAL,
        vault: Vault | None = None,
        retrieved: bool = False,
    ) -> Generator[None, None, Scanned]:
        """Do what `scan_input` does, and with the same result, with pauses.

        A loop that runs this can serve others in each pause. Only the rules for injections, where
        they are on, and the second pass see the text as a whole, without one.
        """
        vault = Vault() if vault is None else vault
        if not PART_CHARS < len(text) <= MOST_CHARS:
            return self.scan_input(text, data_class=data_class, vault=vault, retrieved=retrieved)
        side = self._sides[data_class][0]
        suspects = self._suspects(text, side, vault, retrieved=retrieved)
        yield
        if suspects:
            scanned = _quarantined(text, suspects, side, vault, data_class)
        else:
            stream = side.stream(vault)
            parts: list[str] = []
            for at in range(0, len(text), PART_CHARS):
                parts.append(stream.feed(text[at : at + PART_CHARS]))
                yield
            parts.append(stream.finish())
            scanned = _passed("".join(parts), stream, vault, data_class)
        return (
            scanned if self._second_pass is None else self._reviewed(scanned, retrieved=retrieved)
        )

    def _suspects(
        self, text: str, side: Side, vault: Vault, *, retrieved: bool
    ) -> Sequence[Suspect]:
        """Keep the placeholders that are in the text already, and look for orders to a model."""
        if "<" in text:
            vault.reserve(m[0].decode() for m in PLACEHOLDER.finditer(encode(text)))
        return self._injection.suspects(text, retrieved=retrieved) if side.injection else ()

    def input_action(self, data_class: DataClass, category: Category) -> Action:
        """Return what is done about a category in inputs of a data class."""
        return self._policies[data_class].input.get(category, Action.OFF)

    def description(self, rule: str) -> str:
        """Return what a rule finds, for a person."""
        return self._descriptions.get(rule, "order to a model")

    def output_stream(self, scanned: Scanned) -> StreamGuard:
        """Return the guard of one text of the answer to an input."""
        return self._sides[scanned.data_class][1].stream(scanned.vault.fork(), restore=True)

    def output_arguments(self, scanned: Scanned) -> ArgumentsGuard:
        """Return the guard of the arguments of a tool call in the answer to an input."""
        side, vault = self._sides[scanned.data_class][1], scanned.vault.fork()
        return ArgumentsGuard(lambda: side.stream(vault, restore=True))

    def _reviewed(self, scanned: Scanned, *, retrieved: bool) -> Scanned:
        """Let the second pass add to what was found. It sees no secret, and takes nothing back."""
        assert self._second_pass is not None
        try:
            given = list(self._second_pass.suspects(scanned.text, retrieved=retrieved))
        except LockgateError:
            return self.reviewed(scanned, None)
        return self.reviewed(scanned, given)

    def reviewed(self, scanned: Scanned, given: Iterable[Suspect] | None) -> Scanned:
        """Add what a second pass found in a scanned text; None: it could not judge it."""
        if given is None:
            return self._unjudged(scanned, NO_SECOND_PASS)
        side = self._sides[scanned.data_class][0]
        inside = [
            replace(suspect, rule=SECOND_PASS)
            for suspect in given
            if 0 <= suspect.start < suspect.end <= len(scanned.text)
        ]
        safe = quarantine(scanned.text, apart(inside), side.action_of, scanned.vault)
        return replace(
            scanned,
            text=safe.text,
            findings=(*scanned.findings, *safe.findings),
            blocked=scanned.blocked or safe.blocked,
        )

    def _unjudged(self, scanned: Scanned, rule: str) -> Scanned:
        closed = self._policies[scanned.data_class].on_failure is OnFailure.CLOSED
        failure = GuardFinding(
            rule=rule,
            category=Category.FAILURE,
            action=Action.BLOCK if closed else Action.FLAG,
            start=0,
            end=0,
        )
        return replace(
            scanned,
            text="" if closed else scanned.text,
            findings=(*scanned.findings, failure),
            blocked=scanned.blocked or (failure if closed else None),
        )


def _passed(text: str, stream: StreamGuard, vault: Vault, data_class: DataClass) -> Scanned:
    return Scanned(
        text=text,
        findings=stream.findings,
        blocked=stream.blocked,
        data_class=data_class,
        vault=vault,
    )


def _quarantined(
    text: str, suspects: Sequence[Suspect], side: Side, vault: Vault, data_class: DataClass
) -> Scanned:
    safe = quarantine(text, suspects, side.action_of, vault)
    stream = side.stream(vault)
    clean = stream.whole(safe.text)
    findings = [*safe.findings, *map(safe.located, stream.findings)]
    blocked = safe.blocked
    if stream.blocked is not None:
        blocked = safe.located(stream.blocked)
        findings = [f for f in findings if f.start <= blocked.start]
    return Scanned(
        text=clean,
        findings=tuple(sorted(findings, key=lambda finding: finding.start)),
        blocked=blocked,
        data_class=data_class,
        vault=vault,
    )
