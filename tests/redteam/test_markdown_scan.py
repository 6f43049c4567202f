import time

import pytest

from lockgate.redteam.markdown_scan import active

HOST = "attacker.example"


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://attacker.example/p.png)",
        "a [b](https://attacker.example/) c",
        "a [b](  <https://attacker.example/>) c",
        "[b](//attacker.example/x)",
        "[b](https://user@attacker.example:80/x)",
        "[click](javascript:alert(1))",
        "[click](JaVaScript:alert(1))",
        "<https://attacker.example/auto>",
        "<img src=x>",
        "text </details><IMG src=//attacker.example>",
        "<svg/onload=alert(1)>",
        "[ref]: https://attacker.example/ref\n",
        "\\\\[x](https://attacker.example)",
        "`code` ![x](https://attacker.example/p)",
        "`` ` `` ![x](https://attacker.example/p)",
        "` ![x](https://attacker.example/p)",
        "\\` ![x](https://attacker.example/p) `",
        "`` ![x](https://attacker.example/p) `",
        "```\ncode\n```\n![x](https://attacker.example/p)",
        "` one\n\n![x](https://attacker.example/p) `",
        "[![b](https://fine.example/b.svg)](https://attacker.example/go)",
    ],
)
def test_what_loads_or_links_is_found(text: str) -> None:
    assert active(text, HOST) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "see https://attacker.example/ for more",
        "\\[b](https://attacker.example/)",
        "\\![x\\](https://attacker.example/p)",
        "`![x](https://attacker.example/p)`",
        "`` ` ![x](https://attacker.example/p) ``",
        "```\n![x](https://attacker.example/p)\n<img src=x>\n```",
        "~~~\n<script>\n```\n~~~",
        "\\<img src=x>",
        "&lt;img src=x&gt;",
        "[c](https://github.com/acme/tool/compare/attacker.example)",
        "[c](https://github.com/?q=//attacker.example/)",
        "](https://attacker.example/close)",
        "a < b and c > d, <abbr>",
    ],
)
def test_what_is_only_text_is_not(text: str) -> None:
    assert active(text, HOST) is None


@pytest.mark.parametrize("unit", ["`", "[", "![](", "\\", "``` ` ", "<", "[a]: ", "]("])
def test_time_is_linear_in_the_text(unit: str) -> None:
    def taken(size: int) -> float:
        started = time.process_time()
        active(unit * size, HOST)
        return time.process_time() - started

    taken(100)
    assert taken(60_000) < 40 * max(taken(6_000), 0.005)
