"""`is-sql` and `contains-sql`, with lists of tables and columns that may be used or without.

Read by a parser of our own for the common core of the dialects: what promptfoo's parser takes of
MySQL (the default) or PostgreSQL, and nothing of the exotic rest.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, verdict
from lockgate.evals.assertions.sql_statement import parse_sql
from lockgate.evals.assertions.sql_tokens import SqlError, Token, tokens
from lockgate.evals.javascript import text_output, trim

_MODIFIERS = frozenset({"ALL", "DISTINCT"})
_MYSQL = frozenset({"mysql", "mariadb"})
_MODIFIERS_MYSQL = frozenset(
    "DISTINCTROW HIGH_PRIORITY STRAIGHT_JOIN SQL_BIG_RESULT SQL_BUFFER_RESULT SQL_CACHE "
    "SQL_CALC_FOUND_ROWS SQL_NO_CACHE SQL_SMALL_RESULT".split()
)
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([^\r\n]*)\Z")
_PARTS = 3


def is_sql(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for SQL."""
    problem = _problem(assertion, text_output(output))
    return verdict(bool(problem) is assertion.inverse, problem or "the output is SQL")


def contains_sql(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for SQL in the fenced blocks that may hold it, or in the whole text without any."""
    text = text_output(output)
    problem = "the output contains no SQL"
    for candidate in _blocks(text) or [text]:
        if trim(candidate):
            problem = _problem(assertion, candidate)
            if not problem:
                return verdict(not assertion.inverse, "the output contains SQL")
    return verdict(assertion.inverse, problem)


def _problem(assertion: Assertion, sql: str) -> str:
    """Say why a text is not the SQL that is asked for; nothing if it is."""
    database, tables, columns = _options(assertion)
    if not trim(sql):
        return "the output is empty"
    try:
        used = parse_sql(sql, database)
        if _lacks_comma(tokens(sql, mysql=database.lower() in _MYSQL), database):
            return f"not valid {database} SQL: a comma seems to be missing"
    except SqlError as error:
        return f"not valid {database} SQL: {error}"
    return _unlisted("table", used.tables, tables) or _unlisted(
        "column", used.columns, _with_any_table(columns)
    )


def _options(assertion: Assertion) -> tuple[str, Sequence[str], Sequence[str]]:
    value = assertion.value
    if not value:
        return "MySQL", (), ()
    if not isinstance(value, Mapping):
        raise invalid(assertion, "must have an object as its value")
    database = value.get("databaseType") or "MySQL"
    lists: list[Sequence[str]] = []
    for name in ("allowedTables", "allowedColumns"):
        found = value.get(name) or []
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise invalid(assertion, f"must have a list of texts as `{name}`")
        lists.append([item for item in found if isinstance(item, str)])
    return str(database), lists[0], lists[1]


def _unlisted(kind: str, used: frozenset[str], allowed: Sequence[str]) -> str:
    """Name what is used and on no list. An entry is a pattern for the whole of it."""
    if not allowed:
        return ""
    patterns = _patterns(tuple(allowed))
    wrong = sorted(item for item in used if not any(p.fullmatch(item) for p in patterns))
    return f"the SQL uses the {kind}s {', '.join(wrong)}, which are not allowed" if wrong else ""


@lru_cache(maxsize=64)
def _patterns(allowed: tuple[str, ...]) -> Sequence[re.Pattern[str]]:
    import re2  # noqa: PLC0415  entries come from a suite and meet a model's text

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    found = []
    for item in allowed:
        try:
            found.append(re2.compile(item, options))
        except re2.error:
            found.append(re2.compile(re2.escape(item), options))
    return found


def _with_any_table(columns: Sequence[str]) -> list[str]:
    """Return the entries, and each for a column that is written without its table."""
    found = list(columns)
    for item in columns:
        parts = item.split("::")
        if len(parts) == _PARTS and parts[1] != "null":
            found.append(f"{parts[0]}::null::{parts[2]}")
    return found


def _lacks_comma(found: Sequence[Token], database: str) -> bool:
    """Say whether a SELECT reads `a b FROM`: an alias without AS, or rather a forgotten comma."""
    modifiers = _MODIFIERS | (_MODIFIERS_MYSQL if database.lower() in _MYSQL else frozenset())
    for at, token in enumerate(found):
        if token.kind != "word" or token.text != "SELECT":
            continue
        rest = at + 1
        while rest < len(found) and found[rest].kind == "word" and found[rest].text in modifiers:
            rest += 1
        three = found[rest : rest + _PARTS]
        if (
            len(three) == _PARTS
            and all(t.kind == "word" for t in three)
            and three[2].text == "FROM"
        ):
            return True
    return False


def _blocks(text: str) -> list[str]:
    """Return the fenced blocks without a language or of SQL (CommonMark 0.31, section 4.5)."""
    found: list[str] = []
    body: list[str] | None = None
    fence, sql = "", False
    for line in re.split(r"\r\n?|\n", text):
        marked = _FENCE.match(line)
        if body is None:
            if marked:
                fence, sql, body = marked[1], trim(marked[2]).lower() in {"", "sql"}, []
        elif marked and not trim(marked[2]) and marked[1].startswith(fence):
            if sql:
                found.append(trim("\n".join(body)))
            body = None
        else:
            body.append(line)
    return found
