"""The task `review`: the risk of a diff, and what a reviewer should look at."""

from collections.abc import Sequence

from lockgate.domain.call import Answer, Draft, EngineKind
from lockgate.domain.digest import JsonObject
from lockgate.domain.finding import Severity
from lockgate.domain.task import Case, Option, TaskSpec
from lockgate.domain.usage import Budget
from lockgate.domain.verdict import Outcome, Verdict
from lockgate.ports import Check, Context, Options
from lockgate.tasks.review import checks, collect, draft, render, schema
from lockgate.tasks.review.analyse import Analysis
from lockgate.tasks.review.phrase import MAX_TOKENS, PROMPT

_OPTIONS = (
    Option(
        name="file",
        kind="path",
        positional=True,
        metavar="FILE",
        help="The unified diff; `-` or nothing is standard input.",
    ),
    Option(
        name="fail_on",
        kind="choice",
        choices=tuple(severity.name.lower() for severity in Severity),
        help="Exit with 1 if the risk is this or higher.",
    ),
    Option(
        name="max_bytes",
        kind="integer",
        default=collect.MAX_BYTES,
        metavar="BYTES",
        help="How much of the diff is analysed; what is past it is counted.",
    ),
)
_EVAL = "--- a/app.py\n+++ b/app.py\n@@ -1,0 +2 @@\n+value = eval(text)\n"
_CASES = (
    Case(
        name="no change",
        input={"diff": ""},
        expect={"risk": "low", "score": 0, "findings": []},
    ),
    Case(name="a dangerous call", input={"diff": _EVAL}, expect={"risk": "high", "score": 60}),
)


class Review:
    """Reviews a diff; implements `ports.Task`."""

    def __init__(self) -> None:
        self._analysis = Analysis()
        self._spec = TaskSpec(
            name="review",
            version="1",
            title="Say how risky a diff is and what to look at",
            input_schema=schema.INPUT,
            output_schema=schema.OUTPUT,
            prompts=(PROMPT,),
            roles=(("text", "smollm2"),),
            formats=render.FORMATS,
            options=_OPTIONS,
            examples=(
                "git diff --unified=0 main... | lockgate run review",
                "lockgate run review diff.patch --fail-on high",
                "lockgate run review diff.patch --format json=review.json --format sarif=r.sarif",
                "git diff main... | lockgate run review --engine model --format github",
            ),
            budget=Budget(inferences=1, output_tokens=MAX_TOKENS, timeout_s=60),
            cases=_CASES,
            # The model words the summary; no suite shows that this is better:
            # bench/model_against_rules.py.
            engine=EngineKind.RULES,
            plain="diff",
        )

    @property
    def spec(self) -> TaskSpec:
        return self._spec

    @property
    def checks(self) -> Sequence[Check]:
        return checks.ALL

    def collect(self, options: Options) -> JsonObject:
        return collect.collect(options)

    async def run(self, given: JsonObject, context: Context) -> Draft:
        return await draft.with_model(given, context, self._analysis)

    def rules(self, given: JsonObject, context: Context) -> Draft:
        return draft.by_rules(given, context, self._analysis)

    def render(self, answer: Answer, form: str) -> str:
        return render.render(answer, form, self._analysis.rules)

    def gate(self, answer: Answer, options: Options) -> Verdict | None:
        wanted = options.get("fail_on")
        if not isinstance(wanted, str):
            return None
        said = str(answer.output["risk"])
        # Low is the least risk that there is: without a finding there is nothing to fail on.
        found = bool(answer.output["findings"])
        failed = found and Severity[said.upper()] >= Severity[wanted.upper()]
        return Verdict(
            check="fail-on",
            outcome=Outcome.FAIL if failed else Outcome.PASS,
            reason=f"the risk is {said}, and --fail-on is {wanted}",
        )
