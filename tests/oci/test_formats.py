import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest

from lockgate.oci.chat_template import danger
from lockgate.oci.formats import format_of
from oci.samples import gguf


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name in names:
            opened.writestr(name, b"x")
    return buffer.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
FILES = {
    "gguf": gguf(10),
    "safetensors": len(HEADER).to_bytes(8, "little") + HEADER + b"\0\0\0\0",
    "pytorch": archive("archive/data.pkl", "archive/data/0"),
    "zip": archive("a.txt"),
    "elf": b"\x7fELF\x02\x01" + b"\0" * 60,
    "json": b'{"a": [1, 2]}\n',
    "text": "Apache License, ünï\n".encode() * 300,
    "python": b"#!/usr/bin/env python3\nprint(1)\n",
    "binary": b"\x01\x02\x00\x03",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_known_by_its_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(FILES[name])

    assert format_of(path) == name


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_known_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1.0, 2.0]}, protocol=protocol))

    assert format_of(path) == "pickle"


@pytest.mark.parametrize(
    "text", ["", "{", "It ends with a full stop.", "(c) 2026 Ana. All.", "{}x"]
)
def test_odd_texts_are_texts(text: str, tmp_path: Path) -> None:
    path = tmp_path / "README"
    path.write_text(text)

    assert format_of(path) == "text"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ ''.__class__.__mro__ }}", "reads the attribute `__"),
        ("{{ messages['__class__'] }}", "reads the item `__class__`"),
        ("{{ x | attr('__' ~ 'class__') }}", "computed name"),
        ("{% include 'etc' %}", "loads another template"),
        ("{% for %}", "does not parse"),
        ("{{ '" + "x" * 200_001 + "' }}", "characters"),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", "does not parse"),
    ],
)
def test_a_template_that_reaches_out_is_dangerous(template: str, reason: str) -> None:
    assert reason in danger(template)


def test_an_ordinary_chat_template_is_fine() -> None:
    template = (
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
        "<|im_start|>system\nBe helpful.<|im_end|>\n{% endif %}"
        "{{ '<|im_start|>' + message.role + '\n' + message['content'] | trim }}<|im_end|>\n"
        "{% if loop.last %}{% break %}{% endif %}{% endfor %}"
    )
    assert danger(template) == ""
