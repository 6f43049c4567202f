# ruff: noqa: E501  tables of texts
"""Configurations for `promptfoo_agreement.py`: random, and the same for the same seed.

Outputs and values are drawn close to each other, so that both verdicts are likely, and close to the
edges where two readings of a rule part: empty texts, thresholds that are met exactly, odd spaces.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

WORDS = (
    "release build gate model prompt cache token index commit branch merge deploy rollback canary "
    "shadow stable server client packet socket thread kernel memory page table column query cursor"
).split()
REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "Sorry, no.",
    "I cannot provide that.",
    "As an AI, I do not feel comfortable.",
    "That is not legal.",
    "It is illegal to do this.",
    "You're sorry, I'm happy to help.",
    "I can helpfully answer.",
    "I won\u2019t write it.",
    "I am unable to recommend a place.",
    "I can't recommend it.",
    "We cannot comply.",
    "It is notlegal.",
    "",
    "   ",
)
Assertion = dict[str, Any]
Pair = tuple[str, Assertion]


def sentence(rng: random.Random, most: int = 9) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, most))]
    text = " ".join(words)
    return rng.choice(
        (text, text, text.capitalize() + ".", text.upper(), f"  {text}\n", f"{text}, {text}!")
    )


def near(rng: random.Random, text: str) -> str:
    """Return a text that has something in common with `text`."""
    words = text.split() or ["x"]
    match rng.randint(0, 5):
        case 0:
            return text
        case 1:
            return " ".join(words[: max(1, len(words) // 2)])
        case 2:
            return " ".join(rng.sample(words, len(words)))
        case 3:
            return f"{text} {sentence(rng, 3)}"
        case 4:
            return text.swapcase()
        case _:
            return sentence(rng)


def edge(rng: random.Random, *values: float) -> float:
    return rng.choice(values)


def equals(rng: random.Random) -> Pair:
    if rng.random() < 0.3:
        value: Any = rng.choice(({"a": 1, "b": [1, 2]}, [1, "x"], {"a": True}, {"n": 1.5}, {}))
        text = rng.choice(
            (json.dumps(value), json.dumps(value, indent=1), "{", '{"a": 1}', "[1,2]")
        )
        return text, {"type": "equals", "value": value}
    text = rng.choice((sentence(rng), "5", "true", "1.5", "1e21", "0.000001"))
    return text, {"type": "equals", "value": rng.choice((text, near(rng, text), 5, 1.5, 1e-6))}


def contains(rng: random.Random) -> Pair:
    text = sentence(rng)
    value = rng.choice((near(rng, text), rng.choice(WORDS), text[:3], 5, 1.0))
    return f"{text} 5 1", {"type": rng.choice(("contains", "icontains")), "value": value}


def contains_list(rng: random.Random) -> Pair:
    text = sentence(rng, 20)
    items = [
        rng.choice((rng.choice(WORDS), near(rng, text).strip()[:20]))
        for _ in range(rng.randint(1, 4))
    ]
    value: Any = items
    if rng.random() < 0.5:
        value = rng.choice((", ", ",", " ,, ")).join(
            f'"{item}"' if rng.random() < 0.3 else item.replace(",", "") for item in items
        )
    kind = rng.choice(("contains-all", "contains-any", "icontains-all", "icontains-any"))
    return text, {"type": kind, "value": value}


def starts_with(rng: random.Random) -> Pair:
    text = sentence(rng)
    return text, {
        "type": "starts-with",
        "value": rng.choice((text[:4] or "x", near(rng, text), text)),
    }


PATTERNS = (
    r"^rel", r"\d+", r"(?i:GATE)", r"[a-z]+\s[a-z]+", r"^\S+$", r"\bmodel\b", r"gate|cache", r"a{2,}",
    r"x{", r"{", r"[^]", r"[]", r"\u0061", r"\x61b", r"(?<n>re)", r"^.*$", r"\.$", r"^[\w\s.,!]+$",
    r"[A-Z]{3}", r"(build|gate).*(build|gate)", r"(", r"[", r"*a", r"\/", r"[\s\S]+", r"\cJ", r"e$",
)  # fmt: skip


def regex(rng: random.Random) -> Pair:
    return sentence(rng), {"type": "regex", "value": rng.choice(PATTERNS)}


SCHEMAS = (
    {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0}},
        "additionalProperties": False,
    },
    {"type": "array", "items": {"type": "number"}, "minItems": 1},
    {"type": "object", "properties": {"at": {"type": "string", "format": "date"}}},
    {"enum": [1, "a", None]},
    {"type": "object", "propertis": {}},
    {"anyOf": [{"type": "string"}, {"type": "object", "required": ["x"]}]},
    {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4}},
    },
)
JSON_TEXTS = (
    '{"name": "ab"}', '{"name": 5}', '{"n": 1}', '{"n": -1, "m": 2}', "[1, 2.5]", "[]", '"a"', "5", "null",
    '{"at": "2024-02-29"}', '{"at": "2024-13-01"}', "{name: ab}", "{'name': 'ab'}", '{"name": "ab"', "nope",
    '{"a": {"b": [1]}}', '{"name": "ab",}', "NaN", '{"a": 1}{"b": 2}', "", '{"x": 1} // c', '["a" "b"]',
)  # fmt: skip


def is_json(rng: random.Random) -> Pair:
    text = rng.choice(JSON_TEXTS)
    kind = rng.choice(("is-json", "contains-json"))
    if kind == "contains-json":
        text = rng.choice(
            (
                text,
                f"Here: {text} done",
                f"```json\n{text}\n```",
                f"{text} and {rng.choice(JSON_TEXTS)}",
            )
        )
    made: Assertion = {"type": kind}
    if rng.random() < 0.6:
        made["value"] = rng.choice(SCHEMAS)
        if rng.random() < 0.3:
            made["value"] = json.dumps(made["value"])
    return text, made


XML_TEXTS = (
    "<a/>", "<a><b>1</b></a>", "<a><b>1</b><b>2</b></a>", "<a><b></a></b>", "<a x='1'>t</a>", "<a x=1/>",
    '<?xml version="1.0"?><root><item>x</item></root>', "<a>&amp;&#65;</a>", "<a>&nope;</a>", "text", "",
    "<a><![CDATA[<x>]]></a>", "<!-- c --><a/>", "<n:a xmlns:n='u'/>", "<n:a/>", "<a/><b/>", "<a>< b</a>",
    "<!DOCTYPE a><a/>", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<root><item/><other/></root>", "<a",
    "<root><item><name>n</name></item></root>", "<A></a>", " <a/> ", "<a b='<'/>", "<1a/>",
)  # fmt: skip
XML_PARTS = (
    *(
        "<a>",
        "</a>",
        "<b>",
        "</b>",
        "<b/>",
        "<a x='1'>",
        "x",
        " ",
        "&amp;",
        "&",
        "<root>",
        "</root>",
        "<item>",
    ),
    *(
        "</item>",
        "<!-- c -->",
        "<![CDATA[y]]>",
        "<?pi x?>",
        '<?xml version="1.0"?>',
        "<",
        ">",
        "<n:a>",
        "</n:a>",
    ),
)


def xml(rng: random.Random) -> Pair:
    text = rng.choice(XML_TEXTS)
    if rng.random() < 0.3:
        text = "".join(rng.choice(XML_PARTS) for _ in range(rng.randint(1, 7)))
    kind = rng.choice(("is-xml", "contains-xml"))
    if kind == "contains-xml" and rng.random() < 0.7:
        text = rng.choice(
            (f"Look: {text} ok", f"{text} and {rng.choice(XML_TEXTS)}", f"a < b {text}")
        )
    made: Assertion = {"type": kind}
    if rng.random() < 0.5:
        made["value"] = rng.choice(
            (
                "a",
                "a.b",
                "root.item",
                "root.item,root.other",
                ["a.b.0"],
                ["root.item.name"],
                "a.b.1",
                {"requiredElements": ["root.item"]},
                "b",
            )
        )
    return text, made


HTML_TEXTS = (
    "<p>hi</p>", "<div><span>x</span></div>", "hi", "<b>a</b> b", "<!DOCTYPE html><html><body>x</body></html>",
    "<br>", "a<br>b", "<x-y>z</x-y>", "<foo>z</foo>", "</p>", "<p>a<p>b", "<ul><li>a<li>b</ul>", "a &lt; b",
    "<table>x<tr><td>1</td></tr></table>", "<title>t</title>", "<script>a<b</script>", "<!-- c -->", "",
    "<html>x</html>", "<body>x", "<div", "a < b > c", '<a href="x>y">t</a>', "<p><b>x</p>y", "<?xml?><a/>",
    "<img src='x'/>", "<P CLASS='a'>T</P>", "text <em>and</em> more", "&nbsp; &copy;", "<head></head>x", "</div>",
)  # fmt: skip
HTML_PARTS = (
    *(
        "<p>",
        "</p>",
        "<div>",
        "</div>",
        "<b>",
        "</b>",
        "<ul>",
        "<li>",
        "</ul>",
        "<br>",
        "<span class='a'>",
    ),
    *(
        "</span>",
        "text",
        " ",
        "\n",
        "<table>",
        "<tr>",
        "<td>",
        "</td>",
        "</tr>",
        "</table>",
        "<custom>",
        "<x-y>",
    ),
    *(
        "<!-- c -->",
        "&amp;",
        '<a href="#">',
        "</a>",
        "<h1>",
        "</h1>",
        "<img src=x>",
        "<",
        ">",
        "<body>",
        "<html>",
    ),
    *(
        "</body>",
        "<title>",
        "</title>",
        "<script>",
        "</script>",
        "<style>",
        "</style>",
        "<!DOCTYPE html>",
    ),
)


def html(rng: random.Random) -> Pair:
    text = rng.choice(HTML_TEXTS)
    if rng.random() < 0.4:
        text = "".join(rng.choice(HTML_PARTS) for _ in range(rng.randint(1, 7)))
    return text, {"type": rng.choice(("is-html", "contains-html"))}


def refusal(rng: random.Random) -> Pair:
    return rng.choice((*REFUSALS, sentence(rng))), {"type": "is-refusal"}


def levenshtein(rng: random.Random) -> Pair:
    text = sentence(rng, 3)
    value = rng.choice(
        (
            text,
            text[1:],
            text[:-5],
            text + "abcde",
            text + "abcdef",
            near(rng, text),
            "\U0001f600",
            "",
        )
    )
    made: Assertion = {"type": "levenshtein", "value": value}
    if rng.random() < 0.5:
        made["threshold"] = edge(rng, 0, 1, 5, 10)
    return text, made


def overlap(rng: random.Random) -> Pair:
    text = rng.choice(
        (sentence(rng, 12), "The cat's can't. He said \"no\" -- (ok)...", 'U.S. "Yes."')
    )
    kind = rng.choice(("rouge-n", "bleu", "gleu", "meteor"))
    value: Any = near(rng, text)
    if kind != "rouge-n" and rng.random() < 0.3:
        value = [value, near(rng, text)]
    made: Assertion = {"type": kind, "value": value}
    if rng.random() < 0.5:
        made["threshold"] = edge(rng, 0, 0.25, 0.5, 2 / 3, 0.75, 1)
    return text, made


def word_count(rng: random.Random) -> Pair:
    text = rng.choice((sentence(rng), "", " ", "a\u00a0b", "a\ufeffb", "a\x85b"))
    number = len(text.split())
    value = rng.choice(
        (
            number,
            str(number),
            number + 1,
            {"min": number},
            {"max": number},
            {"min": 0, "max": 3},
            {"min": 5},
            {"min": 3, "max": 1},
            "x",
            {},
        )
    )
    return text, {"type": "word-count", "value": value}


def cost(rng: random.Random) -> Pair:
    made: Assertion = {"type": "cost"}
    if rng.random() < 0.9:
        made["threshold"] = edge(rng, 0, 0.5, 1)
    return sentence(rng), made


def latency(rng: random.Random) -> Pair:
    made: Assertion = {"type": "latency"}
    if rng.random() < 0.9:
        made["threshold"] = edge(rng, 60_000, -1)
    return sentence(rng), made


def similar(rng: random.Random) -> Pair:
    text = sentence(rng)
    kind = rng.choice(("similar", "similar:cosine", "similar:dot", "similar:euclidean"))
    value: Any = near(rng, text)
    if rng.random() < 0.3:
        value = [value, near(rng, text)]
    made: Assertion = {"type": kind, "value": value}
    if rng.random() < 0.6:
        made["threshold"] = edge(rng, 0, 0.5, 0.9, 1, 2)
    return text, made


SQL_TEXTS = (
    "SELECT * FROM users", "SELECT id, name FROM users WHERE age > 18 ORDER BY name LIMIT 10;",
    "SELECT id name FROM users", "SELEC * FROM users", "INSERT INTO t (a, b) VALUES (1, 'x')", "hello",
    "UPDATE t SET a = 1 WHERE id = 2", "DELETE FROM t WHERE id IN (1, 2)", "", "SELECT", "DROP TABLE t",
    "SELECT COUNT(*) FROM a JOIN b ON a.id = b.id GROUP BY a.x HAVING COUNT(*) > 1", "SELECT `a FROM t",
    "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)", "SELECT a FROM (SELECT b FROM c) d",
    "SELECT a FROM t WHERE b LIKE '%x%' AND c IS NOT NULL OR d BETWEEN 1 AND 2", "SELECT 1; SELECT 2",
    "SELECT CASE WHEN a = 1 THEN 'x' ELSE 'y' END FROM t", "WITH q AS (SELECT 1) SELECT * FROM q",
    "SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT * FROM generate_series(1, 5)", "SELECT a,, b FROM t",
    "SELECT a FROM t WHERE", "SELECT DISTINCT a FROM t", "SELECT a AS b FROM t AS u", "FROM t SELECT a",
)  # fmt: skip


def sql(rng: random.Random) -> Pair:
    text = rng.choice(SQL_TEXTS)
    kind = rng.choice(("is-sql", "contains-sql"))
    if kind == "contains-sql":
        text = rng.choice(
            (text, f"```sql\n{text}\n```", f"Use:\n```\n{text}\n```\nok", f"Use {text}")
        )
    made: Assertion = {"type": kind}
    if rng.random() < 0.3:
        made["value"] = rng.choice(
            (
                {"databaseType": "PostgreSQL"},
                {"databaseType": "MySQL", "allowedTables": ["select::null::users"]},
            )
        )
    return text, made


PLAIN: Mapping[str, Callable[[random.Random], Pair]] = {
    "equals": equals,
    "contains": contains,
    "contains-list": contains_list,
    "starts-with": starts_with,
    "regex": regex,
    "json": is_json,
    "xml": xml,
    "html": html,
    "refusal": refusal,
    "levenshtein": levenshtein,
    "overlap": overlap,
    "word-count": word_count,
    "cost": cost,
    "latency": latency,
    "similar": similar,
    "sql": sql,
}
"""Families that the echo provider is enough for."""
