"""Dangerous calls in JavaScript and TypeScript."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "src/app.ts"

RULES = (
    line_rule(
        "dangerous-call.javascript.eval",
        Severity.HIGH,
        r"(?:^|[^\w.$])(?:eval\s*\(|new\s+Function\s*\()|\bset(?:Timeout|Interval)\s*\(\s*[\"'`]"
        r"|\bvm\.runIn\w{0,20}Context\s*\(",
        said=(
            "Text is run as code.",
            "Parse the data with `JSON.parse`, or call a function from a table.",
        ),
        path=_PATH,
        examples=(
            ("const x = eval(text)", "const f = new Function('a', body)"),
            ("JSON.parse(text)", "page.$eval('a', f)", "setTimeout(() => go(), 10)", "// eval(x)"),
        ),
    ),
    line_rule(
        "dangerous-call.javascript.html",
        Severity.MEDIUM,
        r"\.(?:inner|outer)HTML\s*\+?=[^=]|\bdangerouslySetInnerHTML\b|\.insertAdjacentHTML\s*\("
        r"|\bdocument\.write(?:ln)?\s*\(|\bv-html\s*=|\bbypassSecurityTrust\w{1,20}\(|\{@html\s",
        said=(
            "Text becomes HTML without being escaped, so it can hold a script.",
            "Set `textContent`, or sanitise the HTML first.",
        ),
        path=_PATH,
        examples=(
            ("el.innerHTML = comment", "<div dangerouslySetInnerHTML={{ __html: x }} />"),
            ("el.textContent = comment", "if (el.innerHTML == '') return"),
        ),
    ),
    line_rule(
        "dangerous-call.javascript.shell",
        Severity.HIGH,
        r"\bchild_process\b.*\.exec(?:Sync)?\s*\(|\bexecSync\s*\(|\bshell\s*:\s*true\b"
        r"|(?:^|[^\w.$])exec\s*\(\s*(?:`[^`]*\$\{|[\"'][^\"']*[\"']\s*\+)",
        said=(
            "A shell interprets the command line, and so whatever flows into it.",
            "Use `execFile` or `spawn` with a list of arguments.",
        ),
        path=_PATH,
        examples=(
            ("execSync(`git log ${ref}`)", "spawn(cmd, { shell: true })", "exec('ls ' + name, f)"),
            ("execFile('git', ['log', ref])", "const m = pattern.exec(text)"),
        ),
    ),
    line_rule(
        "dangerous-call.javascript.sql",
        Severity.HIGH,
        r"(?i)\.(?:query|execute|raw|\$queryRawUnsafe|\$executeRawUnsafe)\s*\(\s*(?:`\s*"
        r"(?:select|insert|update|delete)\b[^`]*\$\{|[\"'](?:select|insert|update|delete)\b[^\"']*"
        r"[\"']\s*\+)|\$(?:query|execute)RawUnsafe\s*\(",
        said=(
            "SQL is put together from strings, so a value can become part of the statement.",
            "Pass values as parameters of the statement.",
        ),
        path=_PATH,
        examples=(
            (
                "db.query(`SELECT * FROM t WHERE id = ${id}`)",
                "db.query('SELECT * FROM t WHERE id = ' + id)",
            ),
            ("db.query('SELECT * FROM t WHERE id = ?', [id])", "router.query(name)"),
        ),
    ),
    line_rule(
        "dangerous-call.javascript.tls",
        Severity.HIGH,
        r"\brejectUnauthorized\s*:\s*false\b|\bNODE_TLS_REJECT_UNAUTHORIZED\b[^\n]*0",
        said=(
            "TLS certificates are not checked, so anyone on the way can answer.",
            "Trust the right certificate authority instead, with the option `ca`.",
        ),
        path=_PATH,
        examples=(("new Agent({ rejectUnauthorized: false })",), ("rejectUnauthorized: true",)),
    ),
    line_rule(
        "dangerous-call.javascript.message",
        Severity.MEDIUM,
        r"\.postMessage\s*\([^)]*,\s*[\"']\*[\"']\s*\)",
        said=(
            "A message is sent to a window of any origin.",
            "Name the origin that may receive it.",
        ),
        path=_PATH,
        examples=(("w.postMessage(data, '*')",), ("w.postMessage(data, origin)",)),
    ),
)
