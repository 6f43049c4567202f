"""The other side of `run`: reads one assertion as JSON, runs it, writes what it gives as JSON.

Runs as a program, isolated from the environment; it imports nothing of this package.
"""

import json
import resource
import sys
import textwrap


def main() -> None:
    """Answer one assertion."""
    given = json.loads(sys.stdin.buffer.read())
    limit, seconds = int(given["memory_bytes"]), int(given["cpu_seconds"])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    code, name = given["code"], given["function"]
    if not given["file"]:
        body = f"return ({code}\n)" if "\n" not in code.strip() else code
        code = f"def {name}(output, context):\n{textwrap.indent(body, '    ')}\n"
    printed, sys.stdout = sys.stdout, sys.stderr  # what the code prints is not its answer
    scope: dict[str, object] = {"__name__": "lockgate_assertion"}
    # The whole point of `--allow-code`: the suite's author is trusted with this process.
    exec(compile(code, given["title"], "exec"), scope)  # noqa: S102
    found = scope[name](given["output"], given["context"])  # type: ignore[operator]
    json.dump(found, printed)


if __name__ == "__main__":
    main()
