"""`lockgate policy …`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.output import data, data_json, words
from lockgate.cli.policy_moving import approve, list_policies, pack, pull, push, register
from lockgate.cli.session import Session
from lockgate.domain.digest import Json
from lockgate.errors import NotFound, StorageFailed, UsageError

if TYPE_CHECKING:
    from lockgate.config.policy_test_file import PolicyTest
    from lockgate.domain.gate.decision import Decision
    from lockgate.domain.policy_document import PolicyDocument


@click.group(
    epilog="""\b
Examples:
  lockgate policy new
  lockgate policy check policy.toml
  lockgate policy explain policy.toml --task triage --environment production
  lockgate policy test policy.toml"""
)
def policy() -> None:
    """Write, check, explain and test what releases must meet."""


@policy.command(
    epilog="""\b
Examples:
  lockgate policy new
  lockgate policy new governance"""
)
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def new(session: Session, folder: Path) -> None:
    """Write a policy to begin with and its tests into FOLDER. Replaces no file."""
    from lockgate.config.policy_file import starter

    written = {folder / name: text for name, text in starter().items()}
    for path in written:
        if path.exists():
            raise UsageError(f"`{path}` is there already", hint="name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in written.items():
            path.write_text(text, "utf-8")
    except OSError as error:
        raise StorageFailed(f"cannot write to `{folder}`: {error.strerror or error}") from error
    _tell(session, f"wrote {' and '.join(str(path) for path in written)}")


@policy.command(
    epilog="""\b
Examples:
  lockgate policy check policy.toml
  lockgate policy check policy.toml --json

\b
Exit status: 0 no problem, 1 problems."""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(context: click.Context, file: Path, *, as_json: bool) -> None:
    """List every problem of the policy in FILE."""
    from lockgate.config.load import read
    from lockgate.config.policy_file import check_policy
    from lockgate.domain.policy_document import PolicyDocument

    session: Session = context.obj
    checked = check_policy(read(file, hint=_NAME_IT))
    problems = [] if isinstance(checked, PolicyDocument) else checked
    if as_json:
        listed: list[Json] = [{"line": p.line, "message": p.message} for p in problems]
        digest = str(checked.digest) if isinstance(checked, PolicyDocument) else None
        data_json({"file": str(file), "digest": digest, "problems": listed})
    else:
        for problem in problems:
            data(f"{file}:{problem.line}: {problem.message}")
    count = f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}"
    _tell(session, f"{file}: {count}")
    if problems:
        context.exit(1)


@policy.command(
    epilog="""\b
Examples:
  lockgate policy explain policy.toml
  lockgate policy explain sha256:1f2e… --task triage --environment production --json"""
)
@click.argument("name", metavar="POLICY")
@click.option("--task", help="Only for this task.  [default: for a task that it does not name]")
@click.option("--environment", help="Only for this environment.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def explain(
    session: Session, name: str, task: str | None, environment: str | None, *, as_json: bool
) -> None:
    """Say what POLICY, a file or the digest of an artifact, demands, rule by rule."""
    from lockgate.app.policies import named_policy
    from lockgate.domain.gate.explain import explain as sentences
    from lockgate.domain.policy_document import plain

    found = named_policy(name, session.environment).document
    chosen = [environment] if environment else sorted(found.environments)
    described: list[Json] = []
    for index, place in enumerate(chosen):
        rules = found.rules(task or "", place)
        if rules is None:
            raise NotFound(
                f"the policy `{found.name}` knows no environment `{place}`",
                hint=f"it knows: {', '.join(sorted(found.environments)) or 'none'}",
            )
        if as_json:
            described.append({"environment": place, "task": task, "rules": plain(rules)})
            continue
        data(f"{'' if index == 0 else chr(10)}{place}{f', task {task}' if task else ''}")
        for rule, sentence in sentences(rules):
            data(f"  {int(rule)} {rule.title + ':':22} {sentence}")
    if as_json:
        data_json({"policy": found.name, "digest": str(found.digest), "environments": described})


@policy.command(
    epilog="""\b
Examples:
  lockgate policy test policy.toml
  lockgate policy test policy.toml --tests more_tests.toml --json

\b
Exit status: 0 all tests hold, 1 some do not."""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--tests",
    "tests_file",
    type=click.Path(path_type=Path),
    help="File with the tests.  [default: policy_test.toml beside policy.toml]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def test(context: click.Context, file: Path, tests_file: Path | None, *, as_json: bool) -> None:
    """Ask the policy in FILE what its tests ask, and compare the answers.

    A test is made-up evidence and the verdict that is expected.
    """
    from lockgate.config.policy_file import load_policy
    from lockgate.config.policy_test_file import load_tests
    from lockgate.domain.gate.scenario import ask

    session: Session = context.obj
    asked = load_policy(file)
    tests = load_tests(tests_file or file.with_name(f"{file.stem}_test.toml"))
    answers = [(test, ask(test.scenario, asked)) for test in tests]
    failed = sum(1 for test, decision in answers if test.shortfall(decision))
    if as_json:
        data_json(_answers(asked, answers))
    else:
        for one, decision in answers:
            _show(one, decision)
    _tell(session, f"{file}: {len(tests) - failed} of {len(tests)} tests hold")
    if failed:
        context.exit(1)


@policy.command(
    epilog="""\b
Examples:
  lockgate policy schema > policy.schema.json
  lockgate policy schema --tests > policy_test.schema.json"""
)
@click.option("--tests", is_flag=True, help="Of policy_test.toml.")
def schema(*, tests: bool) -> None:
    """Print the JSON Schema of policy.toml, for editors and other checkers."""
    from lockgate.config.policy_file import policy_schema
    from lockgate.config.policy_test_file import policy_test_schema

    found = policy_test_schema() if tests else policy_schema()
    data(json.dumps(found, ensure_ascii=False, indent=2))


for _command in (approve, list_policies, pack, pull, push, register):
    policy.add_command(_command)

_NAME_IT = "name the policy, usually `policy.toml`"


def _show(test: "PolicyTest", decision: "Decision") -> None:
    shortfall = test.shortfall(decision)
    if not shortfall:
        data(f"ok      {test.name}")
        return
    data(f"FAILED  {test.name}")
    data(f"        {shortfall}")
    for finding in decision.refusals:
        data(f"        {finding.outcome} {finding.name}: {finding.message}")
    for note in decision.notes:
        data(f"        note: {note}")


def _answers(
    policy: "PolicyDocument", answers: list[tuple["PolicyTest", "Decision"]]
) -> dict[str, Json]:
    return {
        "policy": policy.name,
        "digest": str(policy.digest),
        "tests": [
            {
                "name": test.name,
                "holds": not test.shortfall(decision),
                "problem": test.shortfall(decision),
                "decision": decision.document,
            }
            for test, decision in answers
        ],
    }


def _tell(session: Session, text: str) -> None:
    if not session.quiet:
        words(text)
