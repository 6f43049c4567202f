"""The task `release-notes`: the notes of a range of commits."""

import json
from collections.abc import Sequence

from lockgate.domain.call import Answer, Draft
from lockgate.domain.digest import JsonObject
from lockgate.domain.task import Option, TaskSpec
from lockgate.domain.usage import Budget
from lockgate.domain.verdict import Verdict
from lockgate.ports import Check, Context, Options
from lockgate.tasks.release_notes import (
    cases,
    checks,
    collect,
    draft,
    pulls,
    render_markdown,
    schema,
    summary,
)

_OPTIONS = (
    Option(name="repo", kind="path", default=".", help="The git repository."),
    Option(
        name="range",
        metavar="RANGE",
        help="`v1..v2`, `v1..` (up to now) or `v2` (the release that ends there). "
        "Default: since the last tag; if HEAD is tagged, the release that it is.",
    ),
    Option(
        name="path",
        multiple=True,
        metavar="PATH",
        help="Only commits that touch this path, from the top of the repository: for monorepos.",
    ),
    Option(
        name="prs",
        kind="path",
        metavar="FILE",
        help=f"Pull requests, as `gh pr list --json {pulls.FIELDS}` writes them.",
    ),
    Option(name="include-bots", kind="flag", default=False, help="Keep the commits of bots."),
    Option(
        name="max-commits",
        kind="integer",
        default=collect.MAX_COMMITS,
        help="The most commits that a range may have.",
    ),
    Option(name="version", metavar="NAME", help="The release's name, for the title."),
    Option(
        name="tag-pattern",
        multiple=True,
        metavar="GLOB",
        help="Which tags are releases. Default: those like `v1.2.3`; with `--path`, those named "
        "after the path, like `pkg@1.2.3`.",
    ),
)


class ReleaseNotes:
    """Writes release notes; implements `ports.Task`."""

    def __init__(self) -> None:
        self._spec = TaskSpec(
            name="release-notes",
            version="1",
            title="Write the release notes of a range of commits",
            input_schema=schema.INPUT,
            output_schema=schema.OUTPUT,
            aliases=("changelog",),
            prompts=(summary.PROMPT,),
            roles=(("text", "smollm2"), ("embedder", "minilm"), ("classifier", "commit-type")),
            formats=("markdown", "json"),
            options=_OPTIONS,
            examples=(
                "lockgate run release-notes",
                "lockgate run release-notes --range v1.2.0..v1.3.0",
                "lockgate run release-notes --path packages/api --format json=notes.json",
                (
                    f"gh pr list --state merged --json {pulls.FIELDS} > prs.json; "
                    "lockgate run release-notes --prs prs.json"
                ),
            ),
            cases=cases.ALL,
            budget=Budget(inferences=1_000, output_tokens=512, timeout_s=120),
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
        return await draft.with_models(given, context)

    def rules(self, given: JsonObject, context: Context) -> Draft:
        return draft.by_rules(given, context)

    def render(self, answer: Answer, form: str) -> str:
        if form == "json":
            return json.dumps(answer.document, ensure_ascii=False, indent=2)
        assert form == "markdown", form
        return render_markdown.render(answer.output)

    def gate(self, answer: Answer, options: Options) -> Verdict | None:
        return None
