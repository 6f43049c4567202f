from pathlib import Path

import pytest

from lockgate.errors import InvalidConfig
from lockgate.evals.expand import Expansion, estimate
from lockgate.evals.files import Files

from .bench import load, outcomes, run

HEAD = "prompts: ['{{x}}']\nproviders: [echo]\n"


def refused(folder: Path, text: str, **files: str) -> str:
    with pytest.raises(InvalidConfig) as caught:
        load(folder, text, **files)
    return caught.value.message


def test_a_type_with_a_typo_is_refused_with_its_line_and_the_type_that_was_meant(
    tmp_path: Path,
) -> None:
    message = refused(
        tmp_path,
        f"{HEAD}tests:\n  - vars: {{x: a}}\n    assert:\n      - type: contians\n"
        "      - {type: not-is-jsn}\n      - {type: zzzzzz}\n",
    )

    assert "has 3 problem(s)" in message
    assert "line 6: there is no assertion type `contians`: did you mean `contains`?" in message
    assert "did you mean `not-is-json`?" in message
    assert "there is no assertion type `zzzzzz`\n" in f"{message}\n"


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ("{assert: [{type: javascript, value: 'new X()'}]}", "is not translated"),
        ("{assert: [{type: g-eval, value: good}]}", "needs a judge"),
        ("{assert: [{type: llm-rubric, x-label: good}]}", "`x-label` is neither"),
        ("{assert: [{type: 'trajectory:tool-used'}]}", "needs a trace"),
        ("{assert: [{type: contains, value: a, transform: 'output.x()'}]}", "`transform`"),
        ("{assert: [{$ref: '#/tests/0'}]}", "goes round in a circle"),
        ("{assert: [{type: equals, threshold: .nan}]}", "not a finite number"),
        ("{assert: [{type: equals, weight: heavy}]}", "`weight` is not a number"),
        ("{assert: [{value: a}]}", "no `type`"),
        ("{assert: [5]}", "not an object"),
        ("{assert: {type: equals}}", "`assert` is not a list"),
        ("{assert: [{type: assert-set}]}", "no list `assert`"),
        ("{assert: [{type: assert-set, assert: [{type: assert-set, assert: []}]}]}", "another"),
        ("{vars: [1]}", "`vars` is not an object"),
        ("{options: {transform: 'output.split(1)[0]'}}", "is code"),
        ("{options: {transformVars: x}}", "is code"),
        ("{assertScoringFunction: 'file://x.js'}", "is code"),
        ("file://none.csv", "there is no file"),
        ("file://../../../etc/passwd", "is outside of"),
        ("https://example.org/cases.csv", "not on this machine"),
        ("5", "neither an object nor a file"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    tmp_path: Path, test: str, problem: str
) -> None:
    assert problem in refused(tmp_path, f"{HEAD}tests:\n  - {test}\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "is not a YAML object"),
        ("providers: [echo]", "there are no `prompts`"),
        ("prompts: ['file://p.js']\nproviders: [echo]", "is code"),
        (f"{HEAD}x-gate: {{pas_rate: 1}}", "`x-gate` has no `pas_rate`"),
        (f"{HEAD}x-gate: {{pass_rate: 2}}", "not from 0 to 1"),
        (f"{HEAD}evaluateOptions: {{repeat: 0}}", "`repeat` is not a whole number"),
        (f"{HEAD}derivedMetrics: [{{name: a, value: 'open(1)'}}]", "there is no function `open`"),
        (f"{HEAD}derivedMetrics: [{{name: a, value: '1 +'}}]", "a value"),
        (f"{HEAD}defaultTest: 5", "`defaultTest` is not an object"),
        (f"{HEAD}scenarios: [5]", "a scenario is not an object"),
        ("prompts: [x]\nproviders: [{label: a, x: 1}]", "a provider has no `id`"),
    ],
)
def test_a_suite_that_makes_no_sense_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in refused(tmp_path, text)


def test_a_link_does_not_lead_out_of_the_project(tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("token")
    project = tmp_path / "project"
    project.mkdir()
    (project / "link.txt").symlink_to(outside)

    suite = load(project, f"{HEAD}tests: [{{vars: {{x: 'file://link.txt'}}}}]")
    summary, _, _ = run(suite)

    assert "is outside of" in summary.broken[0].problem
    assert summary.status == "nothing-ran"


def test_variables_that_are_lists_of_texts_combine(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        "prompts: ['{{a}}{{b}}{{c}}']\nproviders: [echo]\n"
        "tests: [{vars: {a: [x, y], b: ['1', '2'], c: [1, 2]}}]",
    )

    _, results, _ = run(suite)

    assert [r.output for r in results] == ["x11,2", "x21,2", "y11,2", "y21,2"]
    assert estimate(suite) == 4


def test_defaults_scenarios_repetitions_and_prompts_multiply(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """
prompts: ['{{who}}: {{x}}', {raw: '{{x}}', label: short}]
providers: [echo, {id: echo, label: second, prompts: [short]}]
defaultTest:
  vars: {who: me}
  assert: [{type: contains, value: '{{x}}'}]
  threshold: 0.5
scenarios:
  - config: [{vars: {x: a}}, {vars: {x: b}}]
    tests: [{description: t, assert: [{type: equals, value: 'me: a'}]}]
evaluateOptions: {repeat: 2}
""",
    )

    _, results, _ = run(suite)

    assert len(results) == 2 * 3 * 2
    assert [(r.output, r.provider, r.score) for r in results[:3]] == [
        ("me: a", "echo", 1.0),
        ("a", "echo", 0.5),
        ("a", "second", 0.5),
    ]
    assert len({r.id for r in results}) == len(results)


def test_a_case_file_with_broken_lines_runs_the_others(tmp_path: Path) -> None:
    good = '{"vars": {"x": "a"}, "assert": [{"type": "equals", "value": "a"}]}'
    lines = [good, '{"vars": ', "", "[1]", good, '{"assert": [{"type": "contians"}]}', good]
    (tmp_path / "c.jsonl").write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")

    summary, results, _ = run(load(tmp_path, f"{HEAD}tests: file://c.jsonl"))

    assert outcomes(results) == ["passed"] * 3
    assert [r.line for r in results] == [1, 5, 7]
    assert [(b.place.line, b.problem.split(":")[0]) for b in summary.broken] == [
        (2, "not a case"),
        (4, "not a case"),
        (6, "line 6"),
        (8, "not UTF-8"),
    ]
    assert summary.status == "degraded"


def test_a_csv_file_gives_variables_and_expectations(tmp_path: Path) -> None:
    rows = (
        "\ufeffx,__expected,__expected2,__metric,__threshold,__description,"
        "__config:__expected2:threshold\n"
        "a,equals:a,not-levenshtein(1):abc,m,,first,0\n"
        '"b, c",b,"contains-any:""b, c"",z",m,0.5,,1\n'
        "too,few\nd,javascript:new X(),,,,,1\n"
    )
    summary, results, _ = run(load(tmp_path, f"{HEAD}tests: cases.csv", cases_csv=rows))

    assert [(r.name, r.line, str(r.outcome), r.score) for r in results] == [
        ("first", 2, "passed", 1.0),
        ("Row #2", 3, "passed", 0.5),
    ]
    assert [b.place.line for b in summary.broken] == [4, 5]
    assert summary.metrics() == {"m": 0.75}


def test_files_of_json_and_yaml_give_cases_with_their_lines(tmp_path: Path) -> None:
    yaml = "- vars: {x: a}\n-\n  vars: {x: b}\n- 5\n"
    json = '[\n\t{"vars": {"x": "c"}}\n]'
    summary, results, _ = run(
        load(tmp_path, f"{HEAD}tests: [a.yaml, b.json]", a_yaml=yaml, b_json=json)
    )

    assert [(r.output, r.path, r.line) for r in results] == [
        ("a", "a.yaml", 1),
        ("b", "a.yaml", 3),
        ("c", "b.json", 2),
    ]
    assert summary.broken_count == 1


def test_prompts_come_from_files_cut_at_dashes(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        "prompts: [p.txt, 'file://q.md']\nproviders: [echo]",
        p_txt="one\n---\ntwo\n",
        q_md="# three\n",
    )

    assert [prompt.raw for prompt in suite.prompts] == ["one", "two", "# three"]


def test_ids_survive_other_prompts_and_assertions_but_inputs_do_not(tmp_path: Path) -> None:
    def cases(prompt: str, value: str, release: str = "") -> list[tuple[str, str]]:
        suite = load(
            tmp_path,
            f"prompts: ['{prompt}']\nproviders: [echo]\n"
            f"tests: [{{vars: {{x: a}}, assert: [{{type: equals, value: {value}}}]}}]",
        )
        files = Files(suite.folder, suite.folder)
        return [(c.id, c.input) for c in Expansion(suite, files, release=release)]  # type: ignore[union-attr]

    first = cases("{{x}}", "a")
    changed = [cases("say {{x}}", "a"), cases("{{x}}", "b"), cases("{{x}}", "a", "v2")]

    assert all(each[0][0] == first[0][0] for each in changed)
    assert len({each[0][1] for each in [first, *changed]}) == 4


def test_a_name_that_nobody_defines_prints_nothing_and_jinja_is_sandboxed(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """
prompts: ["{% for i in items %}{{ i }};{% endfor %}{{ nope.a.b }}{{ flag }}{{ n }}{{ o }}"]
providers: [echo]
tests:
  - vars: {items: [1, 2.0], flag: true, n: null, o: {a: 1}}
  - vars: {items: [], flag: "{{ ''.__class__.__mro__ }}", n: 1, o: ''}
""",
    )

    _, results, _ = run(suite)

    assert results[0].output == "1;2;true[object Object]"
    assert "class" not in str(results[1].output)


def test_a_variable_may_name_another_five_times(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        "prompts: ['{{a}}']\nproviders: [echo]\ntests:\n"
        "  - vars: {a: '<{{b}}>', b: '{{c}}', c: x}\n  - vars: {a: '{{a}}{{a}}', b: ''}\n",
    )

    _, results, _ = run(suite)

    assert results[0].output == "<x>"
    assert len(str(results[1].output)) < 10_000


def test_transforms_are_paths(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """
prompts: ['{{x}}']
providers: [echo]
tests:
  - vars: {x: '{"a": {"b": [" Y "]}}'}
    options: {transform: "JSON.parse(output).a['b'][0].trim().toLowerCase()"}
    assert: [{type: equals, value: y}]
  - vars: {x: 'not json'}
    options: {transform: JSON.parse(output).a}
""",
    )

    _, results, _ = run(suite)

    assert outcomes(results) == ["passed", "error"]
    assert "does not fit the output" in results[1].reason


def test_assertions_may_stand_elsewhere_and_have_their_own_transform(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        """
prompts: ['{{x}}']
providers: [echo]
assertionTemplates:
  named: {type: equals, value: y, transform: JSON.parse(output).name}
  schema: {type: is-json, value: {$ref: '#/definitions/none', definitions: {}}}
tests:
  - vars: {x: '{"name": "y"}'}
    assert: [{$ref: '#/assertionTemplates/named'}, {type: is-json}]
""",
    )

    assert outcomes(run(suite)[1]) == ["passed"]
