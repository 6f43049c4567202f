"""Database migrations: what loses data, what locks tables, what changes the past."""

import re
from collections.abc import Iterator

from lockgate.domain.finding import Finding, Severity
from lockgate.tasks.review import languages
from lockgate.tasks.review.change import Change
from lockgate.tasks.review.matcher import Matcher
from lockgate.tasks.review.rule import Example, Rule, line_rule, lines

_PATH = "migrations/0002_more.sql"
_MIGRATION = re.compile(
    r"(?i)(?:^|/)(?:migrations?|migrate|alembic/versions|db/migrate|flyway|liquibase|changelogs?"
    r"/db)/[^/]*.*\.(?:sql|py|rb|js|ts|php|go|java|xml|ya?ml|exs)$"
    r"|(?:^|/)[VU]\d[\w.]*__[^/]+\.sql$|(?:^|/)db/(?:schema\.rb|structure\.sql)$"
)
_CHANGED = Rule(
    id="migration.changed",
    severity=Severity.LOW,
    message="The change migrates a database.",
    help="Run it on a copy with the size of production, and know the way back.",
    positives=lines(_PATH, "SELECT 1;"),
    negatives=lines("src/migrations_test.py", "x = 1"),
)
_EDITED = Rule(
    id="migration.edited",
    severity=Severity.MEDIUM,
    message="A migration that exists already is edited: databases that ran it will differ.",
    help="Add a new migration instead, unless this one never left your machine.",
    positives=(Example(path=_PATH, removed=("a",), added=("b",)),),
    negatives=(
        Example(path=_PATH, added=("a",), headers=("new file mode 100644",)),
        Example(path="db/schema.rb", removed=("a",), added=("b",)),
    ),
)
_RULES = (
    line_rule(
        "migration.data-loss",
        Severity.HIGH,
        r"(?i)\bdrop\s+(?:table|column|database|schema)\b|\btruncate\s+(?:table\s+)?\w"
        r"|\balter\s+table\b.*\bdrop\s+(?:column\s+)?[\"`\w]"
        r"|\bop\.drop_(?:table|column)\s*\(|\bmigrations\.(?:RemoveField|DeleteModel)\s*\("
        r"|^\s*(?:remove_columns?|drop_table|remove_reference)\b[\s(]"
        r"|\bdropColumn\s*\(|\.dropTable(?:IfExists)?\s*\(|<drop(?:Column|Table)\b"
        r"|\bSchema::drop(?:IfExists)?\s*\(",
        said=(
            "Data is deleted for good.",
            "Stop using it first, take a copy, and delete it in a later release.",
        ),
        path=_PATH,
        examples=(
            ("DROP TABLE users;", "ALTER TABLE a DROP COLUMN b;", "truncate orders;"),
            ("CREATE TABLE users (id int);", "DROP INDEX a;", "-- DROP TABLE users;"),
        ),
    ),
    line_rule(
        "migration.all-rows",
        Severity.HIGH,
        r"(?i)^\s*delete\s+from\s+[\w.\"`]+\s*;|^\s*update\s+[\w.\"`]+\s+set\s+[^;]*;\s*$",
        said=(
            "Rows are deleted or overwritten, perhaps all of them.",
            "Give a condition, and work in batches.",
        ),
        path=_PATH,
        examples=(
            ("DELETE FROM users;", "UPDATE users SET name = 'a';"),
            ("DELETE FROM users WHERE id = 1;",),
        ),
    ),
    line_rule(
        "migration.lock",
        Severity.MEDIUM,
        r"(?i)\balter\s+column\b.*\b(?:type|set\s+not\s+null)\b|\bmodify\s+column\b"
        r"|\bcreate\s+(?:unique\s+)?index\s+(?:if\s+not\s+exists\s+)?[\"`]?\w+[\"`]?\s+on\b"
        r"|\brename\s+(?:column|table|to)\b|\block\s+table\b"
        r"|\bop\.(?:alter_column|rename_table)\s*\(|^\s*(?:change_column|rename_column)\b"
        r"|\bmigrations\.(?:AlterField|RenameField|RenameModel)\s*\(",
        said=(
            "The table is locked or rewritten, or its old readers break, while this runs.",
            "Use `CONCURRENTLY`, or do it in steps that old and new code both bear.",
        ),
        path=_PATH,
        examples=(
            ("ALTER TABLE a ALTER COLUMN b TYPE bigint;", "CREATE INDEX i ON a (b);"),
            ("CREATE INDEX CONCURRENTLY i ON a (b);", "ALTER TABLE a ADD COLUMN b int;"),
        ),
    ),
    line_rule(
        "migration.not-null",
        Severity.MEDIUM,
        r"(?i)\badd\s+(?:column\s+)?[\"`\w]+\s+[\w()]+\s+not\s+null\s*[,;]?\s*$",
        said=(
            "A column is added that must have a value, and rows that exist have none.",
            "Give it a default, or fill it before it must be there.",
        ),
        path=_PATH,
        examples=(
            ("ALTER TABLE a ADD COLUMN b int NOT NULL;",),
            ("ALTER TABLE a ADD COLUMN b int NOT NULL DEFAULT 0;",),
        ),
    ),
    line_rule(
        "migration.rights",
        Severity.HIGH,
        r"(?i)\bgrant\s+all\b|\bgrant\b.*\bto\s+public\b|\bdisable\s+row\s+level\s+security\b"
        r"|\bsuperuser\b",
        said=(
            "The database gives rights to many.",
            "Grant the single rights that the role needs.",
        ),
        path=_PATH,
        examples=(
            ("GRANT ALL ON SCHEMA a TO b;", "GRANT SELECT ON a TO PUBLIC;"),
            ("GRANT SELECT ON a TO reader;",),
        ),
    ),
)


class Migrations:
    """Judges migrations, and SQL files wherever they are."""

    rules = (_CHANGED, _EDITED, *_RULES)

    def __init__(self) -> None:
        self._matcher = Matcher(_RULES, comments=("--", "#", "//"))

    def find(self, change: Change) -> Iterator[Finding]:
        for file in change.files:
            if languages.is_test(file.path) or file.status == "deleted":
                continue
            migrates = _MIGRATION.search(file.path) is not None
            if migrates:
                yield _CHANGED.at(file)
                dump = file.name in {"schema.rb", "structure.sql"}
                if file.status == "modified" and file.removed and not dump:
                    yield _EDITED.at(file)
            if migrates or file.path.endswith(".sql"):
                for rule, line in self._matcher.find(file.added):
                    yield rule.at(file, line)
