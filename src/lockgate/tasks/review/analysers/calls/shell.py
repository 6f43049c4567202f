"""Dangerous commands in shell scripts."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "scripts/install.sh"

RULES = (
    line_rule(
        "dangerous-call.shell.pipe",
        Severity.HIGH,
        r"\b(?:curl|wget)\b[^|]*\|\s*(?:sudo\s+(?:-\w+\s+)*)?(?:ba|z|da|k)?sh\b"
        r"|\b(?:ba|z)?sh\s+(?:-c\s+)?[\"']?(?:<\(|\$\()(?:curl|wget)\b"
        r"|\b(?:curl|wget)\b[^|]*\|\s*(?:sudo\s+)?python",
        said=(
            "A download is run before anyone has seen it.",
            "Download a pinned version, check its digest, then run it.",
        ),
        path=_PATH,
        examples=(
            ("curl -fsSL https://example.org/i | sh", 'bash -c "$(curl -L https://example.org)"'),
            ("curl -fsSL https://example.org/i -o i", "curl -s url | jq .sha"),
        ),
    ),
    line_rule(
        "dangerous-call.shell.eval",
        Severity.MEDIUM,
        r"(?:^|[;&|]\s*|\s)eval\s+[^#]*\$",
        said=("Text is run as commands.", "Use an array for commands that are put together."),
        path=_PATH,
        examples=(('eval "$line"', "  eval $(make_env $1)"), ("# eval $x", "evaluate $x")),
    ),
    line_rule(
        "dangerous-call.shell.delete",
        Severity.HIGH,
        r"\brm\s+(?:-\w+\s+)*-\w*[rR]\w*\s+(?:-\w+\s+)*(?:--no-preserve-root|/(?:\s|\*|$)"
        r"|[\"']?\$\{?\w+\}?[\"']?/(?:\s|\*|$)|~/?(?:\s|$)|/(?:etc|usr|var|home|bin|lib)/?(?:\s|$))",
        said=(
            "Files are deleted from the root, or from a variable that may be empty.",
            'Name the folder in full, and stop if the variable is empty: `"${DIR:?}/"`.',
        ),
        path=_PATH,
        examples=(("rm -rf /", 'rm -rf "$DIR"/*', "rm -rf $HOME/ "), ("rm -rf build/", "rm -f a")),
    ),
    line_rule(
        "dangerous-call.shell.protection",
        Severity.MEDIUM,
        r"\bchmod\s+(?:-\w+\s+)*(?:0?777|a\+rwx)\b|\bcurl\b.*\s(?:-\w*k\b|--insecure\b)"
        r"|\bwget\b.*--no-check-certificate|StrictHostKeyChecking[= ]no|\bsetenforce\s+0"
        r"|\bGIT_SSL_NO_VERIFY=|--trusted-host\b",
        said=(
            "A protection is switched off: permissions, certificates or host keys.",
            "Leave it on; give the one right permission, certificate or key.",
        ),
        path=_PATH,
        examples=(
            ("chmod -R 777 /srv", "curl -k https://a", "ssh -o StrictHostKeyChecking=no h"),
            ("chmod 755 bin/app", "curl -fsSL https://a/k"),
        ),
    ),
)
