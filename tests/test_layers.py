"""The map in lib/__init__.py is true: every import goes up, and into a package only by the names that it lists."""

import ast
import importlib
import json
import re
from functools import cache
from pathlib import Path

import pytest

import lib
from lib.data import ROOT

MAP = re.findall(r"^(\w+) {2,}\S", lib.__doc__, re.M)
PACKAGES = {path.parent.name for path in (ROOT / "lib").glob("*/__init__.py")}
SOURCES = sorted((ROOT / "lib").rglob("*.py"))
CORE_LINES, LINES, CHAPTER_LINES, FUNCTION_LINES = 1500, 7900, 260, 50


@cache
def imports(source: str) -> list[tuple[str, str]]:
    """(module, name) of every `from module import name` of lib; (module, "") of `import module`."""
    pairs = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
            pairs += [(node.module, alias.name) for alias in node.names]
        if isinstance(node, ast.Import):
            pairs += [(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "lib"]
    return pairs


def part(module: str, name: str) -> str:
    """The part of the map that an import reaches; "" for lib itself."""
    return (module.split(".") + [name])[1]


def of_notebook(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_the_map_names_every_module_and_package_once():
    names = {path.stem for path in (ROOT / "lib").glob("*.py")} - {"__init__"} | PACKAGES
    assert sorted(MAP) == sorted(names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_arrows_go_up(path):
    own = path.relative_to(ROOT / "lib").parts[0].removesuffix(".py")
    reached = {part(*pair) for pair in imports(path.read_text(encoding="utf-8"))} - {own, ""}
    below = [name for name in reached if own != "__init__" and MAP.index(name) > MAP.index(own)]
    assert not below, f"{own} uses {below}, which stand below it"


@cache
def users() -> list[tuple[str, str, str]]:
    """(where, package that it belongs to or "", source) of everything that imports from lib, tests apart."""
    files = [*SOURCES, *(ROOT / "benchmarks").glob("*.py")]
    texts = [(path, path.read_text(encoding="utf-8")) for path in files]
    texts += [(path, of_notebook(path)) for path in (ROOT / "notebooks").glob("*.ipynb")]
    return [(path.relative_to(ROOT).as_posix(), path.parent.name, text) for path, text in texts]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_packages_are_reached_by_the_names_that_they_list(package):
    listed, reached = set(importlib.import_module(f"lib.{package}").__all__), set()
    for where, home, text in users():
        if home != package:
            for module, name in imports(text):
                if part(module, name) == package and module != "lib":
                    assert module == f"lib.{package}", f"{where} reaches into {module}"
                    assert name in listed, f"{where} imports {name}, which lib.{package} does not list"
                    reached.add(name)
    assert reached, f"nothing uses lib.{package}"


def test_the_core_is_read_in_one_sitting():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert sum(n for path, n in lines.items() if path.parent.name == "lib") <= CORE_LINES
    chapters = {path: n for path, n in lines.items() if path.parent.name == "chapters"}
    assert sum(lines.values()) - sum(chapters.values()) <= LINES and max(chapters.values()) <= CHAPTER_LINES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_fit_on_a_screen(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if node.end_lineno - node.lineno + 1 > FUNCTION_LINES]
    assert not long
