"""Secrets that the change adds. The guard found them; here it is said where they stand."""

import re
from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.rule import Rule, lines

_PLACEHOLDER = re.compile(r"<secret:[a-z0-9-]{1,100}:[0-9]{1,10}>")
_ADDED = Rule(
    id="secret.added",
    severity=Severity.HIGH,
    message="A secret was added.",
    help="Revoke the secret: whoever can read the repository has it, and removing the line does "
    "not remove it from the history. Keep the new one in the environment or in a secret store.",
    positives=lines("app.py", 'TOKEN = "<secret:github-pat:1>"'),
    negatives=lines("app.py", 'TOKEN = "<secret:unlisted:9>"', "token = read_token()"),
)


class SecretsAdded:
    """Finds added lines that held a secret."""

    rules = (_ADDED,)

    def find(self, change: Change) -> Iterator[Finding]:
        known = {r.placeholder: r.description for r in change.redactions}
        if not known:
            return
        for file in change.files:
            for line in file.added:
                if "<secret:" not in line.text:
                    continue
                # Only what the guard took out: anyone can write text that looks like it.
                placeholders = _PLACEHOLDER.findall(line.text)
                for kind in dict.fromkeys(known[p] for p in placeholders if p in known):
                    message = f"A secret was added: {kind}."
                    yield _ADDED.at(file, line, message=message)
