"""Dangerous calls in PHP."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "src/index.php"

RULES = (
    line_rule(
        "dangerous-call.php.eval",
        Severity.HIGH,
        r"(?:^|[^\w>:$])(?:eval|create_function)\s*\(|\bassert\s*\(\s*[\"']"
        r"|\bpreg_replace\s*\(\s*[\"']/[^\"']*/[a-z]*e[a-z]*[\"']",
        said=("Text is run as code.", "Parse the data instead."),
        path=_PATH,
        examples=(("eval($code);", "create_function('$a', $b)"), ("$this->eval($x);",)),
    ),
    line_rule(
        "dangerous-call.php.shell",
        Severity.HIGH,
        r"(?:^|[^\w>:$])(?:shell_exec|passthru|popen|proc_open|system|exec)\s*\([^)]*\$",
        said=(
            "A value becomes part of a shell's command line.",
            "Use `escapeshellarg`, or an interface that takes arguments apart.",
        ),
        path=_PATH,
        examples=(
            ('system("ls " . $name);', "shell_exec($line);"),
            ("curl_exec($ch);", "$pdo->exec($sql);"),
        ),
    ),
    line_rule(
        "dangerous-call.php.deserialise",
        Severity.HIGH,
        r"(?:^|[^\w>:])unserialize\s*\(",
        said=("Data is deserialised in a way that can run code.", "Use `json_decode`."),
        path=_PATH,
        examples=(("$x = unserialize($data);",), ("$x = json_decode($data);",)),
    ),
    line_rule(
        "dangerous-call.php.include",
        Severity.HIGH,
        r"\b(?:include|require)(?:_once)?\s*\(?\s*\$_(?:GET|POST|REQUEST|COOKIE)",
        said=("The request chooses which file is run.", "Choose from a fixed list of files."),
        path=_PATH,
        examples=(("include($_GET['page']);",), ("require_once __DIR__ . '/a.php';",)),
    ),
    line_rule(
        "dangerous-call.php.sql",
        Severity.HIGH,
        r"(?:->query|mysqli_query|->exec)\s*\([^\"]*\"[^\"]*\$\w|->query\s*\(\s*'[^']*'\s*\.",
        said=(
            "SQL is put together from strings, so a value can become part of the statement.",
            "Use a prepared statement and bind the values.",
        ),
        path=_PATH,
        examples=(
            ('$db->query("SELECT * FROM t WHERE id = $id");',),
            ('$db->prepare("SELECT * FROM t WHERE id = ?");',),
        ),
    ),
)
