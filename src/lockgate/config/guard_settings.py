"""The table `guards`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, assert_never

from lockgate.config.constraint import Range
from lockgate.config.table import Table as _Table
from lockgate.config.values import Name
from lockgate.domain.call import DataClass
from lockgate.domain.guard import Action, OnFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardClassSettings(_Table):
    """What is done about what guards find in texts of one data class.

    `off`, `shadow` (recorded as what would have been acted on), `flag` (recorded), `redact` (a
    placeholder takes its place) or `block`.
    """

    secrets: Action = Action.REDACT
    """Tasks take secrets out of their inputs whatever this says; `block` refuses them."""
    personal: Action = Action.OFF
    """E-mail addresses, phone and card numbers, national ids and the like."""
    injection: Action = Action.OFF
    """Orders to a model, in inputs and in what was retrieved."""
    links: Action = Action.OFF
    """Links and images of an answer that lead to a host outside `allowed_hosts`."""
    profanity: Action = Action.OFF
    canary: Action = Action.BLOCK
    """Tokens of `canaries` in an answer."""
    on_failure: OnFailure = OnFailure.CLOSED
    """`closed` blocks a text that a guard could not judge; `open` lets it pass."""
    restore_personal: bool = False
    """Give an answer the personal data of its input back in place of the placeholders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings(_Table):
    """What guards look for, by data class."""

    public: GuardClassSettings = field(default_factory=GuardClassSettings)
    internal: GuardClassSettings = field(default_factory=GuardClassSettings)
    confidential: GuardClassSettings = field(default_factory=GuardClassSettings)
    rules: Mapping[Name, Action] = field(default_factory=dict)
    """Rules that are handled otherwise than their kind, by id. A kind that is off stays off."""
    allowed_hosts: tuple[str, ...] = ()
    """Hosts that links of an answer may lead to; `*.HOST` for those below one."""
    second_pass: Name | None = None
    """A model inside the process that judges what users and tools wrote, after the rules and only
    where `injection` is not off. The gateway's requests to models only; it costs an inference for
    each 1,000 characters."""
    second_pass_s: Annotated[float, Range(ge=0.1, le=600)] = 30.0
    """Seconds for one of its judgements; then `on_failure` says what happens."""
    canaries: tuple[str, ...] = ()
    """Tokens that are planted in system prompts: 12 to 64 letters and digits each."""

    def of(self, data_class: DataClass) -> GuardClassSettings:
        """Return what holds for texts of a data class."""
        match data_class:
            case DataClass.PUBLIC:
                return self.public
            case DataClass.INTERNAL:
                return self.internal
            case DataClass.CONFIDENTIAL:
                return self.confidential
            case _:
                assert_never(data_class)
