"""Dangerous calls in Ruby."""

from lockgate.domain.finding import Severity
from lockgate.tasks.review.rule import line_rule

_PATH = "app/models/user.rb"

RULES = (
    line_rule(
        "dangerous-call.ruby.eval",
        Severity.HIGH,
        r"(?:^|[^\w.])eval[\s(]|\.(?:instance|class|module)_eval\s*\(?\s*[\"'\w]"
        r"|\bconstantize\b|\.send\s*\(\s*params",
        said=("Text is run as code.", "Call a method from a fixed list instead."),
        path=_PATH,
        examples=(
            ("eval(params[:code])", "params[:type].constantize", "user.send(params[:m])"),
            ("evaluate(x)", "user.send(:save)", "# eval(x)"),
        ),
    ),
    line_rule(
        "dangerous-call.ruby.shell",
        Severity.HIGH,
        r"(?:^|[^\w.])(?:system|exec|spawn)\s*\(?\s*\"[^\"]*#\{|`[^`]*#\{|%x[({\[][^)}\]]*#\{",
        said=(
            "A value becomes part of a shell's command line.",
            "Pass the program and its arguments apart: `system(program, argument)`.",
        ),
        path=_PATH,
        examples=(
            ('system("ls #{name}")', "`git log #{ref}`"),
            ('system("ls", name)', "`git log`"),
        ),
    ),
    line_rule(
        "dangerous-call.ruby.deserialise",
        Severity.HIGH,
        r"\bMarshal\.(?:load|restore)\b|\bYAML\.(?:unsafe_load|load)\b",
        said=(
            "Data is deserialised in a way that can make any object.",
            "Use JSON or `YAML.safe_load`.",
        ),
        path=_PATH,
        examples=(("Marshal.load(data)", "YAML.load(text)"), ("YAML.safe_load(text)",)),
    ),
    line_rule(
        "dangerous-call.ruby.sql",
        Severity.HIGH,
        r"\.(?:where|find_by_sql|order|execute|joins|pluck)\s*\(?\s*\"[^\"]*#\{",
        said=(
            "SQL is put together from strings, so a value can become part of the statement.",
            'Pass values beside the condition: `where("a = ?", a)`.',
        ),
        path=_PATH,
        examples=(
            ("User.where(\"name = '#{name}'\")",),
            ('User.where("name = ?", name)', "User.where(name: name)"),
        ),
    ),
    line_rule(
        "dangerous-call.ruby.html",
        Severity.MEDIUM,
        r"\.html_safe\b|(?:^|[\s=(])raw[\s(]+\w|\bVERIFY_NONE\b|\bskip_forgery_protection\b"
        r"|\.permit!",
        said=(
            "A protection of the framework is switched off.",
            "Leave it on, and make the exception as narrow as it can be.",
        ),
        path=_PATH,
        examples=(
            ("comment.html_safe", "params.permit!", "OpenSSL::SSL::VERIFY_NONE"),
            ("params.permit(:name)", "raw_data = read"),
        ),
    ),
)
