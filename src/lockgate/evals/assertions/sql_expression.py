"""Expressions of SQL-92 (sections 6.11 to 8.12), with common additions of MySQL and PostgreSQL."""

from lockgate.evals.assertions.sql_reader import Reader

_COMPARISONS = frozenset({"=", "<", ">", "<=", ">=", "<>", "!="})
_BINARY = frozenset({"+", "-", "*", "/", "%", "||", "->", "->>"})
_BINARY_MYSQL = frozenset({"&", "|", "^", "<<", ">>", ":=", "DIV", "MOD"})
_PREFIXES = frozenset({"-", "+", "!", "~"})
_UNITS = frozenset(
    "MICROSECOND SECOND MINUTE HOUR DAY WEEK MONTH QUARTER YEAR DAY_HOUR DAY_MINUTE DAY_SECOND "
    "HOUR_MINUTE HOUR_SECOND MINUTE_SECOND YEAR_MONTH".split()
)
_BARE_CALLS = frozenset({"LEFT", "RIGHT", "IF", "REPLACE", "INSERT", "VALUES", "DATE", "MOD"})
_TYPE_WORDS = frozenset({"UNSIGNED", "SIGNED", "PRECISION", "VARYING", "ZEROFILL", "INTEGER"})


class Expressions(Reader):
    """Takes expressions. Queries inside them come from the subclass."""

    def query(self) -> None:
        raise NotImplementedError

    def expression(self) -> None:
        self.deeper(self._or)

    def _or(self) -> None:
        self._and()
        while self.one_of("OR", *(("XOR", "||") if self.mysql else ())):
            self._and()

    def _and(self) -> None:
        self._not()
        while self.one_of("AND", "&&"):
            self._not()

    def _not(self) -> None:
        while self.accept("NOT"):
            pass
        self._predicate()

    def _predicate(self) -> None:
        self._sum()
        while True:
            token = self.peek()
            if token.kind == "sign" and token.text in _COMPARISONS:
                self.at += 1
                if self.one_of("ANY", "SOME", "ALL"):
                    self.in_brackets(self.query)
                else:
                    self._sum()
            elif not self._tested():
                return

    def _tested(self) -> bool:
        """Take IS, IN, LIKE or BETWEEN if one of them is next."""
        if self.accept("IS"):
            self.accept("NOT")
            if self.accept("DISTINCT", "FROM") or not self.one_of(
                "NULL", "TRUE", "FALSE", "UNKNOWN"
            ):
                self._sum()
            return True
        start = self.at
        self.accept("NOT")
        if self.accept("IN"):
            self._members()
        elif self.accept("BETWEEN"):
            self._sum()
            self.expect("AND")
            self._sum()
        elif self.one_of("LIKE", *(("REGEXP", "RLIKE") if self.mysql else ("ILIKE",))):
            self._sum()
            if self.accept("ESCAPE"):
                self._sum()
        elif not self.mysql and self.accept("SIMILAR", "TO"):
            self._sum()
        else:
            self.at = start
            return False
        return True

    def _members(self) -> None:
        if self.is_next("("):
            self.in_brackets(self._query_or_list)
        else:
            self._primary()

    def _query_or_list(self) -> None:
        if self.is_query():
            self.query()
        else:
            self.list_of(self.expression)

    def is_query(self) -> bool:
        ahead = 0
        while self.is_next("(", ahead=ahead):
            ahead += 1
        return self.is_next("SELECT", "WITH", ahead=ahead)

    def _sum(self) -> None:
        self._primary()
        while True:
            token = self.peek()
            known = _BINARY | _BINARY_MYSQL if self.mysql else _BINARY | {"&", "|", "<<", ">>"}
            if token.kind not in {"sign", "word"} or token.text not in known:
                return
            self.at += 1
            self._primary()

    def _primary(self) -> None:
        while self.peek().kind == "sign" and self.peek().text in _PREFIXES:
            self.at += 1
        token = self.peek()
        if token.kind in {"text", "number", "parameter"} or (
            token.kind == "double" and self.mysql and not self.is_next(".", ahead=1)
        ):
            self.at += 1
        elif self.is_next("("):
            self.in_brackets(lambda: self.deeper(self._query_or_list))
        elif token.kind == "sign" and token.text == "*":
            self.at += 1
        else:
            self._word()
        while self.accept("::"):
            self.type_name()
        while not self.mysql and self.accept("["):
            self.expression()
            self.expect("]")

    def _word(self) -> None:
        if self.one_of("NULL", "TRUE", "FALSE", "DEFAULT"):
            return
        if self.is_next("CASE"):
            self._case()
        elif self.is_next("EXISTS") and self.is_next("(", ahead=1):
            self.at += 1
            self.in_brackets(self.query)
        elif self.is_next("INTERVAL") and not self.is_next(",", ")", ".", ahead=1):
            self._interval()
        elif self.is_next("CAST", "TRY_CAST") and self.is_next("(", ahead=1):
            self.at += 1
            self.in_brackets(self._cast)
        elif self.is_next("DATE", "TIME", "TIMESTAMP") and self.peek(1).kind == "text":
            self.at += 2
        elif not self.mysql and self.is_next("ARRAY") and self.is_next("[", ahead=1):
            self.at += 2
            self.list_of(self.expression)
            self.expect("]")
        elif self.is_next("(", ahead=1) and (
            self.is_name() or self.is_next(*_BARE_CALLS) or self.peek().kind == "double"
        ):
            self._call()
        else:
            self._column()

    def _column(self) -> None:
        found = [self.name()]
        while self.accept("."):
            if self.accept("*"):
                found.append("(.*)")
                break
            token = self.peek()
            found.append(self.name() if token.kind != "word" else token.raw)
            self.at += token.kind == "word"
        if self.is_next("("):
            self._arguments(found[-1])
            return
        self.columns.add(f"select::{found[-2] if len(found) > 1 else 'null'}::{found[-1]}")

    def _call(self) -> None:
        name = self.peek().text
        self.at += 1
        self._arguments(name)

    def _arguments(self, name: str) -> None:
        self.expect("(")
        if self.accept(")"):
            if name.upper() == "COUNT" and self.mysql:
                self.fail("`COUNT` needs an argument")
        else:
            self._argument_list(name.upper())
            self.expect(")")
        if self.accept("FILTER"):
            self.in_brackets(self._filter)
        if self.accept("OVER"):
            if self.is_next("("):
                self.in_brackets(self.window)
            else:
                self.name()

    def _filter(self) -> None:
        self.expect("WHERE")
        self.expression()

    def _argument_list(self, name: str) -> None:
        if name == "EXTRACT":
            self.name()
            self.expect("FROM")
            self.expression()
            return
        if name == "TRIM":
            self.one_of("BOTH", "LEADING", "TRAILING")
        self.one_of("DISTINCT", "ALL")
        if self.is_query():
            self.query()
            return
        self.list_of(self.expression)
        if name == "TRIM":
            if self.accept("FROM"):
                self.expression()
        elif name == "CONVERT" and self.accept("USING"):
            self.name()
        if self.accept("ORDER", "BY"):
            self.list_of(self.ordered)
        if self.mysql and self.accept("SEPARATOR"):
            self._primary()

    def window(self) -> None:
        """Take what stands in the brackets of OVER."""
        if self.accept("PARTITION", "BY"):
            self.list_of(self.expression)
        if self.accept("ORDER", "BY"):
            self.list_of(self.ordered)
        if self.one_of("ROWS", "RANGE"):
            if self.accept("BETWEEN"):
                self._frame()
                self.expect("AND")
            self._frame()

    def _frame(self) -> None:
        if self.accept("CURRENT", "ROW"):
            return
        if not self.accept("UNBOUNDED"):
            self._primary()
        if not self.one_of("PRECEDING", "FOLLOWING"):
            self.fail("expected a frame's bound")

    def ordered(self) -> None:
        """Take an entry of ORDER BY."""
        self.expression()
        self.one_of("ASC", "DESC")
        if not self.mysql and self.accept("NULLS") and not self.one_of("FIRST", "LAST"):
            self.fail("expected `FIRST` or `LAST`")

    def _case(self) -> None:
        self.expect("CASE")
        if not self.is_next("WHEN"):
            self.expression()
        count = 0
        while self.accept("WHEN"):
            self.expression()
            self.expect("THEN")
            self.expression()
            count += 1
        if not count:
            self.fail("expected `WHEN`")
        if self.accept("ELSE"):
            self.expression()
        self.expect("END")

    def _interval(self) -> None:
        self.expect("INTERVAL")
        text = self.peek().kind == "text"
        self._primary()
        token = self.peek()
        if token.kind == "word" and token.text in _UNITS:
            self.at += 1
        elif self.mysql or not text:
            self.fail("expected a unit")

    def _cast(self) -> None:
        self.expression()
        self.expect("AS")
        self.type_name()

    def type_name(self) -> None:
        """Take a type such as `DECIMAL(10, 2) UNSIGNED`."""
        token = self.peek()
        if token.kind != "word" or (token.text in self.reserved and token.text != "SET"):
            self.fail("expected a type")
        if token.text in {"UNSIGNED", "SIGNED"} and not self.mysql:
            self.fail("expected a type")
        self.at += 1
        self.one_of("PRECISION", "VARYING")
        if self.accept("("):
            self.list_of(self._primary)
            self.expect(")")
        while self.one_of(*_TYPE_WORDS):
            pass
        if self.accept("WITH", "TIME", "ZONE") or self.accept("WITHOUT", "TIME", "ZONE"):
            return
        while not self.mysql and self.accept("[", "]"):
            pass
