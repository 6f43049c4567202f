from dataclasses import replace

import pytest

from domain.gate.scene import (
    DATASET,
    EMBEDDER,
    GOOD,
    INDEX,
    PROMPT,
    TEXT,
    WEIGHTS,
    digest,
    pin,
    refusal,
)
from lockgate.domain.artifact import Kind
from lockgate.domain.gate.decision import Rule
from lockgate.domain.gate.evidence import FileFacts, TemplateVerdict
from lockgate.domain.gate.rules.safety import EXECUTABLE


def file(form: str) -> FileFacts:
    return FileFacts(path=f"data.{form}", digest=digest(form), format=form)


@pytest.mark.parametrize("form", sorted(EXECUTABLE))
def test_what_runs_code_when_it_is_loaded_is_refused_whatever_the_policy_says(form: str) -> None:
    scene = GOOD.demand(formats=("*",)).pinning(replace(DATASET, files=(file(form),)))
    found = refusal(scene.decide(), f"`{form}`", f"`data.{form}`")
    assert (found.rule, found.name) == (Rule.SAFETY, "artifact-safety.executable")


def test_a_model_in_a_format_that_the_policy_does_not_name_is_refused() -> None:
    scene = GOOD.pinning(replace(TEXT, files=(WEIGHTS, file("tflite"))))
    found = refusal(scene.decide(), "`tflite`", "`gguf`")
    assert found.name == "artifact-safety.format"
    assert scene.demand(formats=("gguf", "tf*")).decide().allowed


def test_a_list_of_formats_for_weights_is_not_about_the_licence_beside_them() -> None:
    beside = (WEIGHTS, file("text"), file("json"))
    assert GOOD.pinning(replace(TEXT, files=beside)).demand(formats=("gguf",)).decide().allowed
    refusal(
        GOOD.pinning(replace(TEXT, files=(WEIGHTS, file("pickle"))))
        .demand(formats=("gguf",))
        .decide(),
        "`pickle`",
    )


def test_the_formats_of_data_are_their_own_business() -> None:
    assert GOOD.pinning(replace(DATASET, files=(file("parquet"),))).decide().allowed


@pytest.mark.parametrize(
    ("licences", "parts"),
    [
        (("GPL-3.0-only",), ("`GPL-3.0-only`", "`Apache-2.0`, `MIT`")),
        (("Apache-2.0 AND GPL-3.0-only",), ("`Apache-2.0 AND GPL-3.0-only`",)),
        (("Apache-2.0", "GPL-3.0-only"), ("`GPL-3.0-only`",)),
        (("Apache 2.0",), ("no SPDX expression", "`2.0` follows")),
        ((), ("states no licence", "`MIT`")),
    ],
)
def test_a_licence_that_the_policy_does_not_name_is_refused(
    licences: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    found = refusal(GOOD.pinning(replace(TEXT, licences=licences)).decide(), *parts)
    assert (found.rule, found.name) == (Rule.SAFETY, "artifact-safety.licence")


def test_a_choice_of_licences_is_allowed_if_one_of_them_is() -> None:
    scene = GOOD.pinning(replace(TEXT, licences=("GPL-3.0-only OR mit",)))
    assert scene.decide().allowed


def test_a_policy_that_names_no_licences_asks_for_none() -> None:
    assert GOOD.pinning(replace(TEXT, licences=())).demand(licences=("*",)).decide().allowed


def test_an_unsafe_chat_template_is_refused() -> None:
    bad = TemplateVerdict(safe=False, reason="it reads `__class__`")
    found = refusal(GOOD.pinning(replace(TEXT, chat_template=bad)).decide(), "it reads `__class__`")
    assert (found.rule, found.name) == (Rule.SAFETY, "artifact-safety.chat-template")


def test_an_index_that_another_embedder_built_is_refused() -> None:
    other = digest("another embedder")
    found = refusal(
        GOOD.pinning(replace(INDEX, embedder=other)).decide(), str(other), str(EMBEDDER.digest)
    )
    assert (found.rule, found.name) == (Rule.COHERENCE, "coherence.embedder")


def test_an_adapter_of_another_model_is_refused() -> None:
    adapter = pin("adapter", "tone", Kind.ADAPTER, licences=("MIT",), base=digest("llama"))
    free = GOOD.demand(attestations={**GOOD.rules.attestations, "adapter": ()})
    found = refusal(free.pinning(adapter).decide(), str(digest("llama")), str(TEXT.digest))
    assert found.name == "coherence.base"
    assert free.pinning(replace(adapter, base=TEXT.digest)).decide().allowed


def test_a_prompt_that_reads_what_the_task_does_not_give_is_refused() -> None:
    greedy = replace(PROMPT, variables_required=("log", "owner"))
    found = refusal(GOOD.pinning(greedy).decide(), "reads `owner`", "`log`, `service`")
    assert (found.rule, found.name) == (Rule.COHERENCE, "coherence.variables")


def test_a_prompt_that_does_not_fit_the_model_is_refused() -> None:
    found = refusal(GOOD.pinning(replace(PROMPT, budget_tokens=2049)).decide(), "2049", "2048")
    assert (found.rule, found.name) == (Rule.COHERENCE, "coherence.context")
    assert GOOD.pinning(replace(PROMPT, budget_tokens=2048)).decide().allowed


def test_a_prompt_is_held_against_the_model_that_it_names() -> None:
    refusal(GOOD.pinning(replace(PROMPT, runs_on="embedder")).decide(), "1500", "256")
    found = refusal(GOOD.pinning(replace(PROMPT, runs_on="judge")).decide(), "`judge`", "`text`")
    assert found.name == "coherence.model"


def test_a_model_that_does_not_say_its_context_refuses_nothing() -> None:
    assert GOOD.pinning(replace(TEXT, context_tokens=None)).decide().allowed
