"""`is-sql` and `contains-sql`."""

from lockgate.evals.assertion import Assertion, Context, Graded, verdict
from lockgate.domain.digest import Json


def is_sql(assertion: Assertion, output: Json, context: Context) -> Graded:
    return verdict(True, "")


contains_sql = is_sql
