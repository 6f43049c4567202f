"""Dangerous calls in Go."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "cmd/app.go"

RULES = (
    line_rule(
        "dangerous-call.go.shell",
        Severity.HIGH,
        r"\bexec\.Command(?:Context)?\s*\([^\"`)]*[\"`](?:/bin/)?(?:ba|z|da)?sh[\"`]\s*,\s*[\"`]-c",
        said=(
            "A shell interprets the command line, and so whatever flows into it.",
            "Call the program itself, with its arguments apart.",
        ),
        path=_PATH,
        examples=(
            ('exec.Command("sh", "-c", line)', 'exec.CommandContext(ctx, "/bin/bash", "-c", x)'),
            ('exec.Command("git", "log", ref)',),
        ),
    ),
    line_rule(
        "dangerous-call.go.tls",
        Severity.HIGH,
        r"\bInsecureSkipVerify\s*[:=]\s*true\b|\bssh\.InsecureIgnoreHostKey\s*\(",
        said=(
            "The other side's identity is not checked, so anyone on the way can answer.",
            "Trust the right authority or host key instead: `RootCAs`, `knownhosts`.",
        ),
        path=_PATH,
        examples=(
            ("&tls.Config{InsecureSkipVerify: true}", "ssh.InsecureIgnoreHostKey()"),
            ("&tls.Config{InsecureSkipVerify: false}",),
        ),
    ),
    line_rule(
        "dangerous-call.go.sql",
        Severity.HIGH,
        r"\.(?:Query|QueryRow|Exec)(?:Context)?\s*\((?:[^,\"`]{1,40},\s*)?"
        r"(?:fmt\.Sprintf\s*\(|[\"`][^\"`]*[\"`]\s*\+)",
        said=(
            "SQL is put together from strings, so a value can become part of the statement.",
            "Pass values as parameters of the statement.",
        ),
        path=_PATH,
        examples=(
            ('db.Query(fmt.Sprintf("SELECT %s", x))', 'db.Exec("DELETE FROM t WHERE id=" + id)'),
            ('db.Query("SELECT a FROM t WHERE id = $1", id)',),
        ),
    ),
    line_rule(
        "dangerous-call.go.unsafe",
        Severity.MEDIUM,
        r"\bunsafe\.(?:Pointer|Slice|String)\b|\btemplate\.HTML\s*\(",
        said=(
            "A safety of the language or of its templates is left behind.",
            "Say why it is needed, and test the bounds or the escaping.",
        ),
        path=_PATH,
        examples=(("p := unsafe.Pointer(&x)", "template.HTML(text)"), ("p := &x",)),
    ),
)
