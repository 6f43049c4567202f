#!/usr/bin/env python3
"""List the tails of the house: to be read before a commit, never a gate.

usage: tools/house.py [ROOT]
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SHOWN = 8
LONG_MODULE, LONG_FUNCTION, WIDE = 300, 45, 6
WINDOW = 6
"""Lines that two places share before they count as duplicates."""


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def width(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


def broad(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kind = ast.unparse(node.type) if node.type else "Exception"
            if kind in {"Exception", "BaseException"}:
                yield node.lineno


def duplicates(texts: dict[Path, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield pairs of places whose next lines are the same, blank ones and comments aside."""
    places: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, lines in texts.items():
        code = [(n, line.strip()) for n, line in enumerate(lines, 1)]
        code = [(n, line) for n, line in code if line and not line.startswith(("#", "import "))]
        code = [(n, line) for n, line in code if not line.startswith("from ")]
        last = -WINDOW
        for at in range(len(code) - WINDOW + 1):
            window = tuple(line for _, line in code[at : at + WINDOW])
            if sum(len(line) for line in window) > 120 and at - last >= WINDOW:
                places[window].append(f"{path}:{code[at][0]}")
                last = at if len(places[window]) > 1 else last
    for found in places.values():
        if len(found) > 1:
            yield found[0], found[1]


def show(title: str, rows: list[tuple[int, str]]) -> None:
    print(f"{title}: {len(rows)}")
    for value, text in sorted(rows, reverse=True)[:SHOWN]:
        print(f"  {value:5d}  {text}")


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    texts = {
        path.relative_to(root): path.read_text("utf-8").splitlines()
        for path in sorted((root / "src").rglob("*.py"))
    }
    trees = {path: ast.parse("\n".join(lines)) for path, lines in texts.items()}
    modules = [(len(lines), str(path)) for path, lines in texts.items()]
    show(f"modules over {LONG_MODULE} lines", [m for m in modules if m[0] > LONG_MODULE])
    sized = [
        ((f.end_lineno or f.lineno) - f.lineno + 1, f"{path}:{f.lineno} {f.name}")
        for path, tree in trees.items()
        for f in functions(tree)
    ]
    show(f"functions over {LONG_FUNCTION} lines", [s for s in sized if s[0] > LONG_FUNCTION])
    wide = [
        (width(f), f"{path}:{f.lineno} {f.name}")
        for path, tree in trees.items()
        for f in functions(tree)
    ]
    show(f"functions with more than {WIDE} parameters", [w for w in wide if w[0] > WIDE])
    caught = [(n, f"{path}:{n}") for path, tree in trees.items() for n in broad(tree)]
    show("broad except", caught)
    pairs = list(duplicates(texts))
    show("duplicates", [(WINDOW, f"{a} = {b}") for a, b in pairs])
    sizes = sorted(len(lines) for lines in texts.values())
    print(f"{len(sizes)} modules, {sum(sizes)} lines, median {sizes[len(sizes) // 2]}")


if __name__ == "__main__":
    main()
