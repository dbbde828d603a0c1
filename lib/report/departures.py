"""Lists where the code departs from the paper: every `DEPARTURE:` in lib, so that none can be left off the page.

Reads the sources of lib; used by the notebook `departures` alone.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from lib.data import ROOT

START = re.compile(r"(?P<before>.*)(?<![`)])DEPARTURE: (?P<text>.+)")
FIELD = re.compile(r"\w+: ")  # a docstring's next field, such as `Source: …`


@dataclass(frozen=True)
class Departure:
    """where: module.function. text: what is done otherwise, and why."""

    where: str
    text: str


def departures(folder: Path = ROOT / "lib") -> list[Departure]:
    """Every departure, by module and line. One runs on to the end of its comment or of its docstring's paragraph."""
    return [departure for path in sorted(folder.rglob("*.py")) for departure in _of_module(path)]


def listing(rows: list[Departure]) -> str:
    """The departures as a Markdown list."""
    return "\n".join(f"- **`{row.where}`**: {row.text}" for row in rows)


def _of_module(path: Path) -> list[Departure]:
    source = path.read_text(encoding="utf-8")
    lines, tree = source.splitlines(), ast.parse(source)
    starts = [at for at, line in enumerate(lines) if START.match(line)]
    return [Departure(_name_at(tree, path.stem, at + 1), _text(lines[at:])) for at in starts]


def _text(lines: list[str]) -> str:
    """The whole text of the departure that starts on the first of the lines."""
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
