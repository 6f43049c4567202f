"""Dangerous calls in C and C++."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "src/main.c"

RULES = (
    line_rule(
        "dangerous-call.c.unbounded",
        Severity.HIGH,
        r"(?:^|[^\w.>:])(?:gets|strcpy|strcat|sprintf|vsprintf|stpcpy)\s*\("
        r"|\bscanf\s*\(\s*\"[^\"]*%s",
        said=(
            "Bytes are copied with no bound, so a long input writes past the buffer.",
            "Use the bounded form (`snprintf`, `strlcpy`, `fgets`) and check the result.",
        ),
        path=_PATH,
        examples=(
            ("strcpy(name, input);", "  gets(line);", 'scanf("%s", name);'),
            ("strncpy(a, b, n);", 'snprintf(a, n, "%s", b);', "out.sprintf(x);"),
        ),
    ),
    line_rule(
        "dangerous-call.c.shell",
        Severity.HIGH,
        r"(?:^|[^\w.>])(?:system|popen)\s*\(",
        said=(
            "A shell interprets the command line, and so whatever flows into it.",
            "Use `execve` or `posix_spawn` with a list of arguments.",
        ),
        path=_PATH,
        examples=(("system(line);", "f = popen(cmd, mode);"), ("file_system(x);",)),
    ),
    line_rule(
        "dangerous-call.c.format",
        Severity.HIGH,
        r"(?:^|[^\w])(?:printf|syslog\s*\(\s*\w+\s*,|fprintf\s*\(\s*\w+\s*,)\s*\(?\s*"
        r"[a-z_]\w*(?:->\w+|\.\w+|\[\w+\])?\s*\)",
        said=(
            "The format of an output is a variable, so the input can read and write memory.",
            'Pass the text as an argument of `"%s"`.',
        ),
        path=_PATH,
        examples=(("printf(name);", "fprintf(stderr, message);"), ('printf("%s", name);',)),
    ),
    line_rule(
        "dangerous-call.c.temporary-file",
        Severity.LOW,
        r"(?:^|[^\w])(?:tmpnam|mktemp|tempnam)\s*\(",
        said=("A temporary name is taken before its file exists.", "Use `mkstemp`."),
        path=_PATH,
        examples=(("name = mktemp(template);",), ("fd = mkstemp(template);",)),
    ),
)
