"""Compares verdicts with promptfoo 0.121.20 on generated configurations, without a network.

npm install promptfoo@0.121.20 natural node-sql-parser     (in a folder of its own)
python bench/promptfoo_agreement.py --promptfoo FOLDER --count 2000 --seed 7
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lockgate.errors import LockgateError
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case, Expansion
from lockgate.evals.files import Files
from lockgate.evals.load import load_suite
from lockgate.evals.results import Journal, read_results
from lockgate.evals.run import Runner
from lockgate.evals.summary import Summary
from promptfoo_cases import PLAIN, WORDS, sentence
from promptfoo_recorded import TOOLS, recorded, reply

DRIVER = r"""
import fs from 'fs';
import promptfoo from 'promptfoo';
const letters = (text) => {
  const found = new Array(27).fill(0);
  for (const c of text.toLowerCase()) {
    const at = c.charCodeAt(0) - 97;
    found[at >= 0 && at < 26 ? at : 26] += 1;
  }
  return found;
};
const embedding = { id: () => 'letters', callApi: async () => ({ output: '' }),
  callEmbeddingApi: async (text) => ({ embedding: letters(text) }) };
const recorded = (config) => ({ id: () => 'recorded', config,
  callApi: async (prompt) => ({ latencyMs: 5, ...JSON.parse(prompt) }) });
const configs = JSON.parse(fs.readFileSync(process.argv[2]));
const out = fs.createWriteStream(process.argv[3]);
for (const config of configs) {
  config.providers = config.providers.map((p) => p.id === 'recorded' ? recorded(p.config) : p);
  config.defaultTest = config.defaultTest || {};
  config.defaultTest.options = { ...config.defaultTest.options, provider: embedding };
  const repeat = config.evaluateOptions?.repeat ?? 1;
  let line;
  try {
    const done = await promptfoo.evaluate({ ...config, writeLatestResults: false },
      { cache: false, maxConcurrency: 1, repeat, showProgressBar: false });
    const results = (await done.toEvaluateSummary?.() ?? done).results;
    line = results.map((r) => ({ success: r.success, score: r.score, error: r.failureReason === 2,
      reason: (r.error || '').slice(0, 200), output: r.response?.output,
      parts: (r.gradingResult?.componentResults || []).map((c) => [c.pass, c.score]),
      named: r.namedScores }));
  } catch (error) {
    line = { refused: String(error).slice(0, 300) };
  }
  out.write(JSON.stringify(line) + '\n');
}
out.end(() => process.exit(0));
"""

HOOK = r"""
import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(`
export async function resolve(specifier, context, next) {
  if (specifier === 'natural' && !(context.parentURL || '').startsWith('data:'))
    return { url: 'data:text/javascript,' + encodeURIComponent(
      "import { createRequire } from 'node:module';" +
      "const natural = createRequire(" + JSON.stringify(context.parentURL) + ")('natural');" +
      "export const { PorterStemmer, WordNet } = natural;"), shortCircuit: true };
  return next(specifier, context);
}`), import.meta.url);
"""
"""promptfoo 0.121.20 imports `natural` by names that Node does not find in it, so that each METEOR
assertion is an error there. The hook gives it those names: else nothing could be compared."""


class Silent:
    """Draws nothing."""

    def start(self, label: str, total: int) -> None: ...
    def advance(self, steps: int = 1) -> None: ...
    def finish(self) -> None: ...


def letters(text: str) -> list[float]:
    """Return the embedding that the driver makes, too."""
    found = [0.0] * 27
    for character in text.lower():
        at = ord(character) - 97
        found[at if 0 <= at < 26 else 26] += 1
    return found


def varied(rng: random.Random, made: dict[str, Any]) -> dict[str, Any]:
    if rng.random() < 0.3 and made["type"] != "is-valid-openai-tools-call":
        made["type"] = f"not-{made['type']}"
    if rng.random() < 0.2:
        made["weight"] = rng.choice((0, 0.5, 2))
    if rng.random() < 0.2:
        made["metric"] = rng.choice(("quality", "{{word}}", "form"))
    return made


def grouped(rng: random.Random, assertions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put some of the assertions into a set."""
    if len(assertions) < 2 or rng.random() < 0.75:
        return assertions
    inner, outer = assertions[:2], assertions[2:]
    made: dict[str, Any] = {"type": "assert-set", "assert": inner}
    if rng.random() < 0.6:
        made["threshold"] = rng.choice((0, 0.5, 1))
    if rng.random() < 0.3:
        made["weight"] = rng.choice((0, 2))
    if rng.random() < 0.3:
        made["metric"] = "set"
    return [*outer, made]


def test_of(rng: random.Random, family: str) -> dict[str, Any]:
    made = PLAIN[family]
    text, first = made(rng)
    assertions = [varied(rng, first)]
    for _ in range(rng.choice((0, 0, 1, 2))):
        _, another = rng.choice((made, PLAIN[rng.choice(list(PLAIN))]))(rng)
        assertions.append(varied(rng, another))
    test: dict[str, Any] = {"vars": {"output": text, "word": rng.choice(WORDS)}}
    if rng.random() < 0.2:
        assertions.append({"type": "contains", "value": "{{word}}"})
    test["assert"] = grouped(rng, assertions)
    if rng.random() < 0.15:
        test["threshold"] = rng.choice((0, 0.5, 0.99, 1))
    return test


def configuration(rng: random.Random, family: str) -> dict[str, Any]:
    """Return one suite whose tests are mostly of one family."""
    if family == "recorded":
        tests = []
        for _ in range(rng.randint(1, 3)):
            response, made = recorded(rng)
            extra = varied(rng, made)
            tests.append({"vars": {"output": reply(response), "word": "x"}, "assert": [extra]})
        provider = {"id": "recorded", "config": {"tools": TOOLS} if rng.random() < 0.9 else {}}
        return {"prompts": ["{{output}}"], "providers": [provider], "tests": tests}
    config: dict[str, Any] = {
        "prompts": ["{{output}}"],
        "providers": ["echo"],
        "tests": [test_of(rng, family) for _ in range(rng.randint(1, 3))],
    }
    if rng.random() < 0.2:
        config["prompts"].append("{{word}}: {{ output }}")
    if rng.random() < 0.2:
        _, made = PLAIN[rng.choice(list(PLAIN))](rng)
        config["defaultTest"] = {"assert": [varied(rng, made)], "vars": {"more": sentence(rng)}}
        if rng.random() < 0.3:
            config["defaultTest"]["threshold"] = 0.5
    if rng.random() < 0.15:
        config["tests"][0]["vars"]["word"] = rng.sample(WORDS, 2)
    if rng.random() < 0.1:
        config["evaluateOptions"] = {"repeat": 2}
    if rng.random() < 0.1:
        config["scenarios"] = [
            {
                "config": [{"vars": {"word": "gate"}}, {"vars": {"word": "cache"}}],
                "tests": config.pop("tests"),
            }
        ]
    return config


async def ours(config: dict[str, Any], folder: Path) -> list[dict[str, Any]] | str:
    """Return our verdicts, or why the suite was refused."""
    path = folder / "promptfooconfig.yaml"
    path.write_text(json.dumps(config))
    try:
        suite = load_suite(path, root=folder)
    except LockgateError as error:
        return error.message
    files = Files(folder, suite.folder)

    async def respond(case: Case) -> Response:
        if case.provider.id == "echo":
            return Response(output=case.sent, cost=0.0, latency_ms=1.0)
        said = json.loads(case.sent)
        return Response(
            output=said["output"],
            cost=said.get("cost"),
            latency_ms=5.0,
            finish_reason=said.get("finishReason"),
            logprobs=tuple(said.get("logProbs", ())),
        )

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return [letters(text) for text in texts]

    runner = Runner(respond=respond, files=files, embed=embed, concurrency=1)
    results = folder / "results.jsonl"
    with Journal(results) as journal:
        await runner.run(Expansion(suite, files), journal, Summary(), Silent())
        journal.finish()
    return [
        {
            "success": r.outcome == "passed",
            "score": r.score,
            "error": r.outcome == "error",
            "reason": r.reason,
            "output": r.output,
            "parts": [[a["passed"], a["score"]] for a in r.assertions],
            "named": {n: v[0] for n, v in r.named.items()},  # type: ignore[index]
        }
        for r in read_results(results)
    ]


def theirs(configs: list[dict[str, Any]], promptfoo: Path) -> list[Any]:
    """Return promptfoo's verdicts."""
    with tempfile.TemporaryDirectory(dir=promptfoo) as name:
        folder = Path(name)
        (folder / "driver.mjs").write_text(DRIVER)
        (folder / "hook.mjs").write_text(HOOK)
        (folder / "configs.json").write_text(json.dumps(configs))
        environment = {
            **os.environ,
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_CACHE_ENABLED": "false",
            "PROMPTFOO_CONFIG_DIR": str(folder / "home"),
            "LOG_LEVEL": "error",
        }
        subprocess.run(
            ["node", "--import", "./hook.mjs", "driver.mjs", "configs.json", "out.jsonl"],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return [json.loads(line) for line in (folder / "out.jsonl").read_text().split("\n") if line]


def close(left: Any, right: Any) -> bool:
    return abs(float(left) - float(right)) < 1e-9


def differences(mine: Any, other: Any) -> list[str]:
    """Say how two runs of one configuration differ; nothing if they do not."""
    if isinstance(mine, str) or isinstance(other, dict):
        refused = other.get("refused", "") if isinstance(other, dict) else ""
        return (
            []
            if isinstance(mine, str) and refused
            else [f"refused: ours {mine!s:.120}, theirs {refused}"]
        )
    if len(mine) != len(other):
        return [f"{len(mine)} cases, theirs {len(other)}"]
    found = []
    for at, (a, b) in enumerate(zip(mine, other, strict=True)):
        if a["success"] != b["success"] or a["error"] != b["error"]:
            found.append(
                f"case {at}: {verdict(a)} ({a['reason']:.90}), "
                f"theirs {verdict(b)} ({b['reason']:.90})"
            )
        elif not a["error"] and [p[0] for p in a["parts"]] != [bool(p[0]) for p in b["parts"]]:
            found.append(f"case {at}: parts {a['parts']}, theirs {b['parts']}")
        elif not a["error"] and not all(
            close(x[1], y[1]) for x, y in zip(a["parts"], b["parts"], strict=True)
        ):
            found.append(f"case {at}: scores {a['parts']}, theirs {b['parts']}")
        elif not a["error"] and not close(a["score"], b["score"]):
            found.append(f"case {at}: score {a['score']}, theirs {b['score']}")
    return found


def verdict(found: dict[str, Any]) -> str:
    return "error" if found["error"] else "pass" if found["success"] else "fail"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--promptfoo", type=Path, required=True)
    arguments.add_argument("--count", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--family")
    arguments.add_argument("--show", type=int, default=40)
    chosen = arguments.parse_args()
    rng = random.Random(chosen.seed)
    families = [chosen.family] if chosen.family else [*PLAIN, "recorded"]
    picked = [families[at % len(families)] for at in range(chosen.count)]
    configs = [configuration(rng, family) for family in picked]
    other = theirs(configs, chosen.promptfoo)
    agreed: Counter[str] = Counter()
    cases = differing = 0
    shown = 0
    with tempfile.TemporaryDirectory() as name:
        for family, config, their in zip(picked, configs, other, strict=True):
            mine = asyncio.run(ours(config, Path(name)))
            found = differences(mine, their)
            cases += len(mine) if isinstance(mine, list) else 1
            differing += len(found)
            agreed[family] += not found
            if found and shown < chosen.show:
                shown += 1
                print(f"\n{family}: {json.dumps(config)[:700]}")
                for line in found:
                    print(f"    {line}")
    print()
    for family in families:
        print(f"{family:<14} {agreed[family]:>5} of {picked.count(family)} configurations agree")
    total = sum(agreed.values())
    print(
        f"\n{total} of {chosen.count} configurations agree ({total / chosen.count:.2%}); "
        f"{cases - differing} of {cases} cases ({(cases - differing) / cases:.2%})"
    )


if __name__ == "__main__":
    main()
