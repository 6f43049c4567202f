"""Dangerous calls in Java and its relatives."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "src/main/App.java"

RULES = (
    line_rule(
        "dangerous-call.java.deserialise",
        Severity.HIGH,
        r"\bnew\s+ObjectInputStream\s*\(|\.readUnshared\s*\(|\bnew\s+XMLDecoder\s*\("
        r"|\.enableDefaultTyping\s*\(|\bnew\s+Yaml\s*\(\s*\)",
        said=(
            "Data is deserialised in a way that can run code.",
            "Use a format that holds data only, or a filter of the allowed classes.",
        ),
        path=_PATH,
        examples=(
            ("var in = new ObjectInputStream(stream);", "mapper.enableDefaultTyping();"),
            ("mapper.readValue(text, Order.class);", "new Yaml(new SafeConstructor(options))"),
        ),
    ),
    line_rule(
        "dangerous-call.java.shell",
        Severity.HIGH,
        r"\bgetRuntime\s*\(\s*\)\s*\.exec\s*\(|\bnew\s+ProcessBuilder\s*\(\s*\"(?:/bin/)?(?:ba)?sh\"",
        said=(
            "A command is run from a string, and so whatever flows into it.",
            "Use `ProcessBuilder` with the program and its arguments apart.",
        ),
        path=_PATH,
        examples=(
            ("Runtime.getRuntime().exec(line);", 'new ProcessBuilder("sh", "-c", line)'),
            ('new ProcessBuilder("git", "log", ref)',),
        ),
    ),
    line_rule(
        "dangerous-call.java.sql",
        Severity.HIGH,
        r"\.(?:executeQuery|executeUpdate|execute|createQuery|createNativeQuery|prepareStatement)"
        r"\s*\(\s*\"[^\"]*\"\s*\+",
        said=(
            "SQL is put together from strings, so a value can become part of the statement.",
            "Use a prepared statement and pass the values.",
        ),
        path=_PATH,
        examples=(
            ('st.executeQuery("SELECT * FROM t WHERE id = " + id);',),
            ('c.prepareStatement("SELECT * FROM t WHERE id = ?");',),
        ),
    ),
    line_rule(
        "dangerous-call.java.tls",
        Severity.HIGH,
        r"\bNoopHostnameVerifier\b|\bALLOW_ALL_HOSTNAME_VERIFIER\b|\bTrustAll\w{0,30}\b"
        r"|\bsetHostnameVerifier\s*\(\s*\([^)]*\)\s*->\s*true",
        said=(
            "TLS certificates are not checked, so anyone on the way can answer.",
            "Trust the right certificate authority in a trust store.",
        ),
        path=_PATH,
        examples=(
            ("setHostnameVerifier((h, s) -> true);", "NoopHostnameVerifier.INSTANCE"),
            ("setHostnameVerifier(verifier);",),
        ),
    ),
    line_rule(
        "dangerous-call.java.script",
        Severity.HIGH,
        r"\bScriptEngine\w{0,20}\b.*\.eval\s*\(|\bGroovyShell\s*\(|\bSpelExpressionParser\s*\(",
        said=(
            "Text is run as code.",
            "Parse the data instead, or allow a fixed set of expressions.",
        ),
        path=_PATH,
        examples=(("new GroovyShell().evaluate(text)",), ("shell.open(text)",)),
    ),
)
