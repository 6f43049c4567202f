"""`javascript` one-liners: what they give, what is refused, and what bounds them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig, InvalidInput
from lockgate.evals.assertion import Assertion, Context, Response
from lockgate.evals.assertions.script import javascript
from lockgate.evals.script.evaluate import problem, value_of
from lockgate.evals.script.values import UNDEFINED

from .bench import load, outcomes, run

OUTPUT = 'Disk full on /dev/sda1, 93.5 % used: {"code": 7} \U0001f600'
NAMES: dict[str, object] = {
    "output": OUTPUT,
    "context": {"vars": {"x": "Disk", "n": 3, "list": ["a", "b", "c"], "none": None}},
}
EXPRESSIONS = [
    'output.includes("Disk")',
    "output.length",
    "output.length > 10 && output.length <= 200",
    'output.toLowerCase().startsWith("disk") || false',
    "output.split(' ').length === 11",
    "output.split(/\\s+/)",
    "/\\bfull\\b/i.test(output)",
    "output.match(/(\\d+)\\.(\\d)/)[2]",
    "output.match(/nothing/) === null",
    "(output.match(/s/g) || []).length",
    'JSON.parse(\'{"a": {"b": [1, 2, {"c": true}]}}\').a.b[2].c',
    "output.includes(context.vars.x) ? 1 : 0.5",
    "context.vars.list.every(item => item.length === 1)",
    "context.vars.list.map((item, i) => item + i).join('-')",
    "context.vars.list.filter(x => x !== 'b')",
    "context.vars.missing?.deep",
    "context.vars.missing?.deep.deeper",
    "context.vars.none ?? 'fallback'",
    "context.vars.none == undefined",
    "context.vars.none === undefined",
    "typeof context.vars.missing === 'undefined'",
    "1 + '2' == '12' && '3' * 2 === 6",
    "!'' && !0 && !!'0' && !![] && !!{}",
    "0.1 + 0.2",
    "7 % 3 - -2",
    "5 / 0 > 1e300",
    "'b' > 'a' && 10 > '9'",
    "Math.max(1, 2, context.vars.n) + Math.round(2.5)",
    "parseInt('42px') + parseFloat('1.5e') + Number('  3 ')",
    "output.indexOf('full') === 5 && output.indexOf('nope') === -1",
    "output.slice(0, 4) + output.substring(9, 5).toUpperCase() + output.slice(-3, -2)",
    "output.replace('Disk', 'Tape').replace(/[a-z]/g, '').trim()",
    "[1, 2, 3].reduce((a, b) => a + b, 0)",
    "Object.keys({b: 1, 'a': 2}).length",
    "const n = output.length; const half = n / 2; return half > 3;",
    "return output.endsWith('x')",
    "({pass: output.length > 3, score: 0.5, reason: 'because'})",
    "['a', 'b'].includes('b') && [1, [2]].flat().length === 2",
    "'a,b,,c'.split(',')",
    "null == 0 || '' == 0",
    "[] + 'x' + [1, 2]",
    "(5).toString() + (1.005).toFixed(1)",
    "'abc'.at(-1) + 'abc'.charAt(9) + 'abc'[1]",
    "[3, 4].indexOf(4) + 'x'.repeat(3)",
    "isNaN('x') && !isNaN('1')",
]


def shown(value: object) -> Json:
    return "undefined" if value is UNDEFINED else json.loads(json.dumps(value))


def node(expressions: list[str]) -> list[Json]:
    """Return what Node gives for the same expressions and names."""
    program = (
        "const {names, codes} = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "const {output, context} = names;"
        "console.log(JSON.stringify(codes.map(code => {"
        "  const body = /^(return|const)\\b/.test(code) ? code : `return ${code}`;"
        "  const found = new Function('output', 'context', body)(output, context);"
        "  return found === undefined ? 'undefined' : found; })))"
    )
    given = json.dumps({"names": NAMES, "codes": expressions})
    done = subprocess.run(
        ["node", "-e", program], input=given, capture_output=True, text=True, check=True
    )
    found: list[Json] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed here")
def test_expressions_give_what_node_gives() -> None:
    ours = [shown(value_of(code, NAMES)) for code in EXPRESSIONS]

    for code, mine, theirs in zip(EXPRESSIONS, ours, node(EXPRESSIONS), strict=True):
        assert mine == (pytest.approx(theirs) if isinstance(theirs, float) else theirs), code


@pytest.mark.parametrize("code", EXPRESSIONS)
def test_common_forms_are_translated(code: str) -> None:
    assert problem(code) == ""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "no expression"),
        ("output.includes(", "unexpected"),
        ("process.exit(1)", "`process` is not read here"),
        ("require('fs')", "`require` is not read here"),
        ("eval('1')", "`eval` is not read here"),
        ("new Date() > 0", "`new` is not read here"),
        ("if (output) { return true }", "`if` is not read here"),
        ("output.map(x => { return x })", "a function with a body"),
        ("`${output}`", "a template literal"),
        ("fetch('http://x')", "`fetch` is not known here"),
        ("globalThis.x", "`globalThis` is not known here"),
        ("a = 1", "`=` is unexpected"),
        ("output..length", "`.` is no member"),
        ("output.length; output", "unexpected"),
        ("x.y + output.z", "`x` is not known here"),
        ("(" * 500 + "1" + ")" * 500, "nested too deeply"),
        ("!" * 500 + "1", "nested too deeply"),
        ("1" + "+1" * 3000, "longer than"),
        ("'unfinished", "is not read here"),
        ("/(/.test(output) && /x/y.test(output)", "flags"),
    ],
)
def test_what_is_not_translated_is_told_before_anything_runs(code: str, says: str) -> None:
    assert says in problem(code)


def test_the_error_has_the_python_to_write(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="--allow-code") as raised:
        load(
            tmp_path,
            "prompts: [x]\nproviders: [echo]\n"
            "tests: [{assert: [{type: javascript, value: 'new Date()'}]}]",
        )

    assert "line 3" in raised.value.message


@pytest.mark.parametrize(
    "code",
    [
        "context.vars.missing.deep",
        "JSON.parse(output)",
        "output.nothing()",
        "context.vars.n.map(x => x)",
        "'x'.repeat(1e9)",
        "[].reduce((a, b) => a)",
        "/(?=x)/.test(output)",
    ],
)
def test_what_would_throw_is_an_error_of_the_case(code: str) -> None:
    with pytest.raises(InvalidInput, match="fails"):
        value_of(code, NAMES)


def test_an_expression_is_bounded_in_steps() -> None:
    names = {"output": "a" * 2_000}
    code = "output.split('').every(a => output.split('').every(b => a === b))"

    with pytest.raises(InvalidInput, match="steps"):
        value_of(code, names)


@pytest.mark.parametrize(
    ("code", "members", "passed", "score"),
    [
        ("true", {}, True, 1),
        ("false", {"inverse": True}, True, 1),
        ("0.4", {}, True, 0.4),
        ("0", {}, False, 0),
        ("0.4", {"threshold": 0.5}, False, 0.4),
        ("0.4", {"inverse": True}, False, 0.4),
        ("({pass: true, score: 0.3})", {}, True, 0.3),
        ("({pass: true, score: 0.3})", {"threshold": 0.5}, False, 0.3),
        ("({pass: false})", {}, False, 0),
    ],
)
def test_values_are_graded_as_promptfoo_does(
    code: str, members: dict[str, object], *, passed: bool, score: float
) -> None:
    assertion = Assertion(type="javascript", value=code, **members)  # type: ignore[arg-type]
    context = Context(response=Response(output="x"), variables={})

    found = javascript(assertion, "x", context)

    assert (found.passed, found.score) == (passed, score)


def test_a_value_that_is_no_grade_is_an_error(tmp_path: Path) -> None:
    suite = load(
        tmp_path,
        "prompts: ['{{x}}']\nproviders: [echo]\n"
        "tests: [{vars: {x: a}, assert: [{type: javascript, value: 'output'}]}, c.csv]",
        c_csv="x,__expected\nabc,javascript:output.length === 3\nabc,fn:output.length === 4\n",
    )

    assert outcomes(run(suite)[1]) == ["error", "passed", "failed"]
