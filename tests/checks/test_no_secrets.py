from lockgate.checks.no_secrets import NoSecretsCheck
from lockgate.domain.call import DataClass, Draft
from lockgate.domain.digest import Json
from lockgate.domain.redact import Redaction, Sanitised
from lockgate.domain.verdict import Outcome
from lockgate.ports import Check


class FindsHunter2:
    """Fake guard: the only secret is `hunter2`."""

    def sanitise(self, value: Json, *, data_class: DataClass = DataClass.INTERNAL) -> Sanitised:
        if "hunter2" not in str(value):
            return Sanitised(value=value)
        found = Redaction(placeholder="<secret:x:1>", rule="x", description="password")
        return Sanitised(value=None, redactions=(found,))


CHECK: Check = NoSecretsCheck(FindsHunter2())


def test_a_secret_in_the_output_fails_and_is_not_quoted() -> None:
    verdict = CHECK.judge({}, Draft(output={"summary": "the password is hunter2"}))

    assert verdict.outcome is Outcome.FAIL
    assert verdict.reason == "the output holds a secret: password"


def test_a_placeholder_of_the_input_may_be_quoted() -> None:
    given = {"diff": "+token = <secret:github-pat:1>"}

    verdict = CHECK.judge(given, Draft(output={"summary": "adds <secret:github-pat:1>"}))

    assert verdict.outcome is Outcome.PASS


def test_a_placeholder_that_was_made_up_fails() -> None:
    given = {"diff": "+token = <secret:github-pat:1>"}

    verdict = CHECK.judge(given, Draft(output={"summary": "adds <secret:github-pat:2>"}))

    assert verdict.outcome is Outcome.FAIL
    assert "`<secret:github-pat:2>`" in verdict.reason


def test_an_output_without_secrets_passes() -> None:
    assert CHECK.judge({}, Draft(output={"summary": "fine"})).outcome is Outcome.PASS
