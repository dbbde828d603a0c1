"""Lists where the code departs from the paper: every `DEPARTURE:` in lib, so that none can be left off the page.

Reads the sources of lib; used by the notebook `departures` alone.
"""

import ast
import re
from pathlib import Path

from lib.data import ROOT

START = re.compile(r"(?P<before>.*)(?<![`)])DEPARTURE: (?P<text>.+)")
FIELD = re.compile(r"\w+: ")  # a docstring's next field, such as `Source: …`


def departures(folder: Path = ROOT / "lib") -> list[tuple[str, str]]:
    """Every departure, by module and line: where (module.function), and what is done otherwise, and why."""
    rows = []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines, tree = source.splitlines(), ast.parse(source)
        starts = [number for number, line in enumerate(lines) if START.match(line)]
        module = ".".join(path.relative_to(folder).with_suffix("").parts)
        rows += [(_name_at(tree, module, number + 1), _text(lines[number:])) for number in starts]
    return rows


def listing(rows: list[tuple[str, str]]) -> str:
    """The departures as a Markdown list."""
    return "\n".join(f"- **`{where}`**: {text}" for where, text in rows)


def _text(lines: list[str]) -> str:
    """From the departure on the first of the lines to the end of its comment, or of its docstring's paragraph."""
    start = START.match(lines[0])
    parts, prefix = [start["text"]], "# " if "#" in start["before"] else ""
    for line in map(str.strip, lines[1:]):
        body = line.removeprefix(prefix)
        if not line.startswith(prefix) or body in ("", '"""') or FIELD.match(body):
            break
        parts.append(body)
    return " ".join(parts).removesuffix('"""').strip()


def _name_at(tree: ast.Module, module: str, number: int) -> str:
    """module.Class.function around a line."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    around = [n for n in ast.walk(tree) if isinstance(n, kinds) and n.lineno <= number <= n.end_lineno]
    return ".".join([module, *(node.name for node in sorted(around, key=lambda node: node.lineno))])
