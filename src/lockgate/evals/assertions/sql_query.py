"""Queries of SQL: SELECT with its clauses, joins, sets and common tables."""

from lockgate.evals.assertions.sql_expression import Expressions

_SETS = ("UNION", "EXCEPT", "INTERSECT", "MINUS")


class Queries(Expressions):
    """Takes queries."""

    def query(self) -> None:
        self.deeper(self._query)

    def _query(self) -> None:
        if self.accept("WITH"):
            self.accept("RECURSIVE")
            self.list_of(self._common_table)
        self._select_or_brackets()
        while self.one_of(*_SETS):
            self.one_of("ALL", "DISTINCT")
            self._select_or_brackets()
        self.tail()

    def _common_table(self) -> None:
        self.name()
        if self.is_next("("):
            self.in_brackets(lambda: self.list_of(self.name))
        self.expect("AS")
        self.in_brackets(self.query)

    def _select_or_brackets(self) -> None:
        if self.is_next("("):
            self.in_brackets(self.query)
        else:
            self._select()

    def _select(self) -> None:
        self.expect("SELECT")
        while self.one_of("ALL", "DISTINCT", "SQL_CALC_FOUND_ROWS", "DISTINCTROW"):
            pass
        if self.is_next("ON") and self.is_next("(", ahead=1):
            self.at += 1
            self.in_brackets(lambda: self.list_of(self.expression))
        self.list_of(self.item)
        if self.accept("FROM"):
            self.list_of(self.joined)
        if self.accept("WHERE"):
            self.expression()
        if self.accept("GROUP", "BY"):
            self.list_of(self.expression)
            if self.mysql:
                self.accept("WITH", "ROLLUP")
        if self.accept("HAVING"):
            self.expression()
        if self.accept("WINDOW"):
            self.list_of(self._named_window)

    def _named_window(self) -> None:
        self.name()
        self.expect("AS")
        self.in_brackets(self.window)

    def item(self) -> None:
        """Take an entry of a select list."""
        if self.accept("*"):
            self.columns.add("select::null::(.*)")
            return
        self.expression()
        self._alias(text=self.mysql)

    def _alias(self, *, text: bool = False) -> None:
        if text and self.peek(int(self.is_next("AS"))).kind in {"text", "double"}:
            self.at += 1 + self.is_next("AS")
        elif self.accept("AS") or (self.is_name() and not self._continues()):
            self.name()
        elif not self.mysql and self.peek().kind == "double":
            self.at += 1

    def _continues(self) -> bool:
        """Say whether the next word goes on with the query rather than naming something."""
        return self.is_next(
            *("WINDOW", "FOR", "OFFSET", "FETCH", "NATURAL", "MINUS", "RETURNING", "STRAIGHT_JOIN")
        )

    def joined(self) -> None:
        """Take a table, or what stands for one, and its joins."""
        self._source()
        while True:
            natural = not self.mysql and bool(self.accept("NATURAL"))
            if self.one_of("LEFT", "RIGHT", "FULL"):
                self.accept("OUTER")
                self.expect("JOIN")
            elif self.one_of("INNER", "CROSS"):
                self.expect("JOIN")
            elif not self.accept("JOIN"):
                return
            self._source()
            if self.accept("ON") and not natural:
                self.expression()
            elif self.accept("USING"):
                self.in_brackets(lambda: self.list_of(self.name))

    def _source(self) -> None:
        if not self.mysql or self.is_next("(", ahead=1):
            self.accept("LATERAL")
        if self.is_next("(") and self.is_query():
            self.in_brackets(self.query)
        elif self.is_next("("):
            self.in_brackets(lambda: self.list_of(self.joined))
        elif self.is_next("(", ahead=1):
            if self.mysql:
                self.fail("expected a table")
            self.expression()
        else:
            self.table("select")
        self._alias()
        if self.is_next("(") and not self.mysql:
            self.in_brackets(lambda: self.list_of(self.name))

    def tail(self) -> None:
        """Take ORDER BY, LIMIT and what may follow."""
        if self.accept("ORDER", "BY"):
            self.list_of(self.ordered)
        if self.accept("LIMIT"):
            self._primary()
            if self.mysql and self.accept(","):
                self._primary()
        if self.accept("OFFSET"):
            self._primary()
        if self.mysql and not self.accept("FOR", "UPDATE"):
            self.accept("FOR", "SHARE")
