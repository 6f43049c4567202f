"""Dangerous calls in Python."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "src/app.py"

RULES = (
    line_rule(
        "dangerous-call.python.eval",
        Severity.HIGH,
        r"(?:^|[^\w.`])(?:eval|exec)\s*\(",
        said=(
            "`eval` or `exec` runs text as code.",
            "Parse the text instead: `ast.literal_eval`, `json.loads`, or a table of functions.",
        ),
        path=_PATH,
        examples=(
            ("value = eval(text)", "    exec(source, scope)"),
            ("model.eval()", "ast.literal_eval(text)", "# eval(text)", "def evaluate(x):"),
        ),
    ),
    line_rule(
        "dangerous-call.python.shell",
        Severity.HIGH,
        r"\bos\.(?:system|popen)\s*\(|\bshell\s*=\s*True\b|\bcommands\.getoutput\(",
        said=(
            "A shell interprets the command line, and so whatever flows into it.",
            "Call the program with a list of arguments and without a shell.",
        ),
        path=_PATH,
        examples=(
            ('os.system("ls " + name)', "subprocess.run(command, shell=True)"),
            ('subprocess.run(["ls", name], check=True)', "shell = Shell()", "os.path.join(a, b)"),
        ),
    ),
    line_rule(
        "dangerous-call.python.deserialise",
        Severity.HIGH,
        r"\b(?:c?[pP]ickle|dill|cloudpickle|marshal|shelve)\.(?:loads?|Unpickler|open)\s*\("
        r"|\bjsonpickle\.decode\s*\("
        r"|\byaml\.(?:unsafe_load|full_load)(?:_all)?\s*\("
        r"|\byaml\.load\s*\([^)]*Loader\s*=\s*(?:yaml\.)?(?:Unsafe|Full)?Loader\b"
        r"|\byaml\.load\s*\(\s*[^,()]*\)|\ballow_pickle\s*=\s*True|\bjoblib\.load\s*\(",
        said=(
            "Data is deserialised in a way that can run code.",
            "Use JSON, `yaml.safe_load`, or a format that holds data only.",
        ),
        path=_PATH,
        examples=(
            ("state = pickle.loads(data)", "yaml.load(text)", "yaml.load(f, Loader=yaml.Loader)"),
            ("json.loads(data)", "yaml.safe_load(text)", "yaml.load(f, Loader=SafeLoader)"),
        ),
    ),
    line_rule(
        "dangerous-call.python.sql",
        Severity.HIGH,
        r"""\.execute(?:many|script)?\s*\(\s*(?:f["']|["'][^"']*["']\s*(?:%[^s]|\+)|"""
        r"""["'][^"']*\{[^"']*["']\.format\()""",
        said=(
            "SQL is put together from strings, so a value can become part of the statement.",
            "Pass values as parameters of the statement.",
        ),
        path=_PATH,
        examples=(
            (
                'cursor.execute(f"SELECT * FROM t WHERE id = {id}")',
                'db.execute("SELECT * FROM t WHERE id = " + id)',
            ),
            ('cursor.execute("SELECT * FROM t WHERE id = %s", (id,))', "pool.execute(job)"),
        ),
    ),
    line_rule(
        "dangerous-call.python.tls",
        Severity.HIGH,
        r"\bverify\s*=\s*False\b|\b_create_unverified_context\b|\bCERT_NONE\b"
        r"|\bcheck_hostname\s*=\s*False\b|\bdisable_warnings\(.*InsecureRequestWarning",
        said=(
            "TLS certificates are not checked, so anyone on the way can answer.",
            "Trust the right certificate authority instead: `verify=path`.",
        ),
        path=_PATH,
        examples=(
            ("requests.get(url, verify=False)", "context.verify_mode = ssl.CERT_NONE"),
            ("requests.get(url, verify=True)", "verify = check(x)"),
        ),
    ),
    line_rule(
        "dangerous-call.python.template",
        Severity.MEDIUM,
        r"\bautoescape\s*=\s*False\b|\bmark_safe\s*\(|\brender_template_string\s*\(|\bMarkup\s*\(",
        said=(
            "Text reaches a page without being escaped.",
            "Leave escaping on; render templates from files.",
        ),
        path=_PATH,
        examples=(
            ("Environment(autoescape=False)", "return mark_safe(comment)"),
            ("Environment(autoescape=True)", "render_template('a.html')"),
        ),
    ),
    line_rule(
        "dangerous-call.python.temporary-file",
        Severity.LOW,
        r"\btempfile\.mktemp\s*\(",
        said=(
            "A temporary name is taken before its file exists, so another can be first.",
            "Use `tempfile.mkstemp` or `NamedTemporaryFile`.",
        ),
        path=_PATH,
        examples=(("name = tempfile.mktemp()",), ("fd, name = tempfile.mkstemp()",)),
    ),
    line_rule(
        "dangerous-call.python.extract",
        Severity.MEDIUM,
        r"\.extractall\s*\(\s*(?:[^)=]*)\)",
        said=(
            "An archive is unpacked with whatever names it holds, `../` among them.",
            'Pass `filter="data"` to `tarfile`, or check each name.',
        ),
        path=_PATH,
        examples=(("tar.extractall(target)",), ('tar.extractall(target, filter="data")',)),
    ),
    line_rule(
        "dangerous-call.python.debug",
        Severity.MEDIUM,
        r"^\s*DEBUG\s*=\s*True\b|\.run\([^)]*\bdebug\s*=\s*True",
        said=(
            "The debug mode of a web framework is on: it shows internals and may run code.",
            "Take it from the configuration of the place where it runs.",
        ),
        path=_PATH,
        examples=(("DEBUG = True", "app.run(debug=True)"), ("DEBUG = env.debug", "app.run()")),
    ),
)
