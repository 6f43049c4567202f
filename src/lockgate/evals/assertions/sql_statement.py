"""Statements of SQL, and the tables and columns that they use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lockgate.evals.assertions.sql_query import Queries
from lockgate.evals.assertions.sql_tokens import tokens

_MYSQL_ONLY = frozenset({"DESCRIBE", "DESC", "EXPLAIN", "LOCK", "UNLOCK"})
_OBJECTS = ("TABLE", "VIEW", "INDEX", "DATABASE", "SCHEMA", "TRIGGER", "PROCEDURE", "FUNCTION")


@dataclass(frozen=True, slots=True)
class Used:
    """What a text of SQL touches, each as `select::place::name`."""

    tables: frozenset[str]
    columns: frozenset[str]


def parse_sql(sql: str, database: str) -> Used:
    """Read a text of statements with semicolons between.

    Raises:
        SqlError: it is none.

    """
    mysql = database.lower() in {"mysql", "mariadb"}
    parser = _Statements(tokens(sql, mysql=mysql), mysql=mysql)
    parser.all()
    return Used(frozenset(parser.tables), frozenset(parser.columns))


class _Statements(Queries):
    def all(self) -> None:
        while True:
            while self.accept(";"):
                pass
            if self.peek().kind == "end":
                return
            self._statement()
            if self.peek().kind != "end" and not self.is_next(";"):
                self.fail("expected `;`")

    def _statement(self) -> None:
        if self.is_query():
            self.query()
            return
        word = self.peek().text
        take = self._takers().get(word)
        if self.peek().kind != "word" or take is None or (word in _MYSQL_ONLY and not self.mysql):
            self.fail("expected a statement")
        self.at += 1
        take()

    def _takers(self) -> Mapping[str, Callable[[], None]]:
        return {
            "INSERT": self._insert,
            "REPLACE": self._insert,
            "UPDATE": self._update,
            "DELETE": self._delete,
            "CREATE": self._create,
            "DROP": self._drop,
            "ALTER": self._alter,
            "TRUNCATE": self._truncate,
            "USE": self._names_only,
            "CALL": self.expression,
            "SET": self._set,
            "SHOW": self._rest,
            "DESCRIBE": self._names_only,
            "DESC": self._names_only,
            "EXPLAIN": self._statement,
            "BEGIN": lambda: None,
            "COMMIT": lambda: None,
            "ROLLBACK": lambda: None,
            "START": lambda: self.expect("TRANSACTION"),
            "GRANT": self._rest,
            "REVOKE": self._rest,
            "LOCK": self._rest,
            "UNLOCK": self._rest,
        }

    def _insert(self) -> None:
        if self.mysql:
            self.one_of("IGNORE", "LOW_PRIORITY", "DELAYED")
        self.accept("INTO")
        self.table("insert")
        if self.is_next("(") and not self.is_query():
            self.in_brackets(lambda: self.list_of(self.names))
        if self.mysql and self.accept("SET"):
            self.list_of(self._assignment)
        elif self.one_of("VALUES", "VALUE"):
            self.list_of(lambda: self.in_brackets(lambda: self.list_of(self.expression)))
        else:
            self.query()
        if self.mysql and self.accept("ON", "DUPLICATE", "KEY", "UPDATE"):
            self.list_of(self._assignment)
        elif not self.mysql:
            self._conflict()
            self._returning()

    def _conflict(self) -> None:
        if not self.accept("ON", "CONFLICT"):
            return
        if self.is_next("("):
            self.in_brackets(lambda: self.list_of(self.expression))
        self.expect("DO")
        if not self.accept("NOTHING"):
            self.expect("UPDATE", "SET")
            self.list_of(self._assignment)
            if self.accept("WHERE"):
                self.expression()

    def _returning(self) -> None:
        if not self.mysql and self.accept("RETURNING"):
            self.list_of(self.item)

    def _assignment(self) -> None:
        self.names()
        self.expect("=")
        self.expression()

    def _update(self) -> None:
        self.list_of(self._updated)
        self.expect("SET")
        self.list_of(self._assignment)
        if not self.mysql and self.accept("FROM"):
            self.list_of(self.joined)
        if self.accept("WHERE"):
            self.expression()
        self.tail()
        self._returning()

    def _updated(self) -> None:
        before = set(self.tables)
        self.joined()
        # What is read by the join is written by the statement.
        for table in self.tables - before:
            self.tables.discard(table)
            self.tables.add(table.replace("select::", "update::", 1))

    def _delete(self) -> None:
        if not self.is_next("FROM"):
            self.list_of(self.names)
        self.expect("FROM")
        before = set(self.tables)
        self.list_of(self.joined)
        for table in self.tables - before:
            self.tables.discard(table)
            self.tables.add(table.replace("select::", "delete::", 1))
        if self.accept("WHERE"):
            self.expression()
        self.tail()
        self._returning()

    def _create(self) -> None:
        self.accept("OR", "REPLACE")
        self.one_of("TEMPORARY", "TEMP", "UNIQUE", "FULLTEXT")
        kind = self.one_of(*_OBJECTS)
        if not kind:
            self.fail("expected what to create")
        self.accept("IF", "NOT", "EXISTS")
        if kind == "TABLE":
            self._create_table()
        elif kind == "VIEW":
            self.table("create")
            self.expect("AS")
            self.query()
        elif kind == "INDEX":
            self.name()
            self.expect("ON")
            self.table("create")
            self.in_brackets(lambda: self.list_of(self.ordered))
        elif kind in {"DATABASE", "SCHEMA"}:
            self.name()
            if self.peek().kind != "end" and not self.is_next(";"):
                self._rest()
        else:
            self._rest()

    def _create_table(self) -> None:
        self.table("create")
        if self.mysql and self.accept("LIKE"):
            self.table("create")
            return
        if self.is_next("(") and not self.is_query():
            if self.is_next(")", ahead=1) and not self.mysql:
                self.at += 2
            else:
                self.in_brackets(lambda: self.list_of(self._definition))
        while not self.is_next("AS", ";") and not self.is_query() and self.peek().kind != "end":
            self._table_option()
        if self.accept("AS") or self.is_query():
            self.query()

    def _table_option(self) -> None:
        self.accept("DEFAULT")
        self.name()
        self.one_of("SET")
        self.accept("=")
        if self.is_name() or self.peek().kind in {"text", "number"}:
            self.at += 1
        self.accept(",")

    def _definition(self) -> None:
        if self.accept("CONSTRAINT") and not self.is_next("PRIMARY", "UNIQUE", "FOREIGN", "CHECK"):
            self.name()
        if self.one_of("PRIMARY", "UNIQUE", "FOREIGN", "KEY", "INDEX", "FULLTEXT"):
            self.one_of("KEY", "INDEX")
            if not self.is_next("("):
                self.name()
            self.in_brackets(lambda: self.list_of(self.ordered))
            self._references()
        elif self.accept("CHECK"):
            self.in_brackets(self.expression)
        else:
            self.name()
            self.type_name()
            while self._column_option():
                pass

    def _column_option(self) -> bool:
        if (
            self.accept("NOT", "NULL")
            or self.accept("NULL")
            or self.accept("PRIMARY", "KEY")
            or self.accept("UNIQUE", "KEY")
            or self.accept("UNIQUE")
            or self.accept("AUTO_INCREMENT")
            or self.accept("KEY")
        ):
            return True
        if self.accept("DEFAULT") or self.accept("COMMENT") or self.accept("ON", "UPDATE"):
            self._primary()
            return True
        if self.accept("COLLATE") or self.accept("CHARACTER", "SET"):
            self.name()
            return True
        if self.accept("CHECK"):
            self.in_brackets(self.expression)
            return True
        return self._references()

    def _references(self) -> bool:
        if not self.accept("REFERENCES"):
            return False
        self.names()
        if self.is_next("("):
            self.in_brackets(lambda: self.list_of(self.name))
        while self.accept("ON"):
            if not self.one_of("DELETE", "UPDATE"):
                self.fail("expected `DELETE` or `UPDATE`")
            if not (self.accept("SET", "NULL") or self.accept("NO", "ACTION")):
                self.name()
        return True

    def _drop(self) -> None:
        kind = self.one_of(*_OBJECTS)
        if not kind or (kind == "DATABASE" and not self.mysql):
            self.fail("expected what to drop")
        self.accept("IF", "EXISTS")
        self.list_of(lambda: self.table("drop"))
        if kind == "INDEX" and self.mysql:
            self.expect("ON")
            self.table("drop")
        self.one_of("CASCADE", "RESTRICT")

    def _alter(self) -> None:
        self.expect("TABLE")
        self.table("alter")
        self.list_of(self._alteration)

    def _alteration(self) -> None:
        if self.accept("ADD"):
            if self.accept("COLUMN"):
                self.accept("IF", "NOT", "EXISTS")
            self._definition()
        elif self.accept("DROP"):
            self.one_of("COLUMN", "INDEX", "KEY", "CONSTRAINT")
            self.accept("IF", "EXISTS")
            self.name()
        elif self.accept("RENAME"):
            self.one_of("COLUMN", "AS")
            if not self.is_next("TO"):
                self.name()
            if self.accept("TO"):
                self.name()
        elif self.mysql and (change := self.one_of("MODIFY", "CHANGE")):
            self.accept("COLUMN")
            if change == "CHANGE":
                self.name()
            self._definition()
        elif not self.mysql and self.accept("ALTER"):
            self.accept("COLUMN")
            self.name()
            self._rest()
        else:
            self.fail("expected a change")

    def _truncate(self) -> None:
        self.accept("TABLE")
        self.list_of(lambda: self.table("truncate"))

    def _set(self) -> None:
        if self.peek().kind == "parameter":
            self.at += 1
        else:
            self.names()
        if not self.one_of("=", ":="):
            self.expect("TO")
        self.list_of(self.expression)

    def _names_only(self) -> None:
        self.names()

    def _rest(self) -> None:
        """Take the words of a statement that nobody grades closer, up to its end."""
        if self.peek().kind == "end":
            self.fail("expected more")
        while self.peek().kind != "end" and not self.is_next(";"):
            self.at += 1
