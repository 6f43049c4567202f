"""What a reviewer cannot see: characters that hide code, and files that are no text.

Source of the first: Boucher and Anderson, "Trojan Source: Invisible Vulnerabilities" (2021).
"""

import re
from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.rule import Example, Rule, lines

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\u180e\u00ad]|[^\u0000-\u007f]\ufeff|\ufeff.")
_PROGRAM = re.compile(r"(?i)\.(?:exe|dll|so|dylib|jar|war|class|pyc|whl|wasm|bin|o|a|msi|node)$")

_REORDERED = Rule(
    id="hidden.reordered",
    severity=Severity.HIGH,
    message="Invisible characters reorder the line: what it does is not what it shows.",
    help="Remove the bidirectional control characters.",
    positives=lines("src/app.py", 'if role != "user\u202e": pass'),
    negatives=lines("src/app.py", 'name = "\u05d0\u05d1"'),
)
_HIDDEN = Rule(
    id="hidden.invisible",
    severity=Severity.MEDIUM,
    message="The line holds invisible characters.",
    help="Remove them, or write them as escapes.",
    positives=lines("src/app.py", 'name = "a\u200bb"'),
    negatives=(
        *lines("src/app.py", 'name = "é"'),
        *lines("docs/a.md", "a\u200bb"),
    ),
)
_BINARY = Rule(
    id="hidden.program",
    severity=Severity.MEDIUM,
    message="A compiled program or library was added or changed; nobody can review it.",
    help="Build it from source in the pipeline, or fetch it by its digest.",
    positives=(
        Example(
            path="lib/a.so", headers=("index 1..2 100644", "Binary files a/lib/a.so and b/l differ")
        ),
    ),
    negatives=(
        Example(
            path="a.png", headers=("index 1..2 100644", "Binary files a/a.png and b/a.png differ")
        ),
    ),
)
_EXECUTABLE = Rule(
    id="hidden.executable",
    severity=Severity.LOW,
    message="A file became executable.",
    help="Check that it is meant to be run.",
    positives=(Example(path="a.txt", headers=("old mode 100644", "new mode 100755")),),
    negatives=(Example(path="a.txt", headers=("old mode 100755", "new mode 100644")),),
)
_LINK = Rule(
    id="hidden.link",
    severity=Severity.LOW,
    message="A symbolic link or a submodule was added; its content is elsewhere.",
    help="Check where it points to.",
    positives=(
        Example(path="a", added=("/etc/passwd",), headers=("new file mode 120000",)),
        Example(path="a", added=("Subproject commit 1",), headers=("new file mode 160000",)),
    ),
    negatives=(Example(path="a", added=("x",), headers=("new file mode 100644",)),),
)


class Hidden:
    """Finds what does not show in a diff."""

    rules = (_REORDERED, _HIDDEN, _BINARY, _EXECUTABLE, _LINK)

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            if file.binary and file.status != "deleted" and _PROGRAM.search(file.path):
                yield _BINARY.at(file)
            if file.mode_changed and (file.new_mode or "").endswith("755"):
                yield _EXECUTABLE.at(file)
            if file.status != "deleted" and (file.new_mode or "") in {"120000", "160000"}:
                yield _LINK.at(file)
            reads = languages.language(file.path) or languages.is_configuration(file.path)
            for line in file.added:
                if line.text.isascii():
                    continue
                if _BIDI.search(line.text):
                    yield _REORDERED.at(file, line)
                elif reads and _INVISIBLE.search(line.text):
                    yield _HIDDEN.at(file, line)
