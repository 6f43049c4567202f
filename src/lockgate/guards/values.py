"""The guard of a task's input: every string of a value goes through the pipeline."""

from dataclasses import dataclass, field

from lockgate.domain.call import DataClass
from lockgate.domain.digest import Json
from lockgate.domain.guard import Action, Category, GuardFinding
from lockgate.domain.redact import Redaction, Sanitised, map_strings
from lockgate.errors import Denied
from lockgate.guards.pipeline import Pipeline
from lockgate.guards.secrets import SecretGuard, collect
from lockgate.guards.vault import Vault


@dataclass(frozen=True, slots=True)
class ValueGuard:
    """Implements `ports.Guard`: takes secrets out, always, and then what the pipeline finds."""

    pipeline: Pipeline
    secrets: SecretGuard = field(default_factory=SecretGuard)

    def sanitise(self, value: Json, *, data_class: DataClass = DataClass.INTERNAL) -> Sanitised:
        """Return `value` as it may be stored and sent to a model.

        Raises:
            Denied: a rule blocks the value.

        """
        clean = self.secrets.sanitise(value)
        stops = self.pipeline.input_action(data_class, Category.SECRETS) is Action.BLOCK
        if stops and clean.redactions:
            raise _blocked(clean.redactions[0].rule)
        texts: dict[str, None] = {}
        collect(clean.value, texts)
        vault = Vault()
        replaced: dict[str, str] = {}
        findings: list[GuardFinding] = []
        for text in texts:
            scanned = self.pipeline.scan_input(text, data_class=data_class, vault=vault)
            if scanned.blocked is not None:
                raise _blocked(scanned.blocked.rule)
            findings += scanned.findings
            if scanned.text != text:
                replaced[text] = scanned.text
        return Sanitised(
            value=map_strings(clean.value, replaced) if replaced else clean.value,
            redactions=(*clean.redactions, *self._redactions(findings)),
            findings=tuple(findings),
        )

    def _redactions(self, findings: list[GuardFinding]) -> list[Redaction]:
        distinct = {f.placeholder: f for f in findings if f.placeholder}
        return [
            Redaction(
                placeholder=finding.placeholder,
                rule=finding.rule,
                description=self.pipeline.description(finding.rule),
            )
            for finding in distinct.values()
        ]


def _blocked(rule: str) -> Denied:
    return Denied(
        f"the guard rule `{rule}` blocks the input",
        hint="see `[guards]` of the configuration, and docs/concepts/guards.md",
    )
