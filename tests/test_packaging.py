"""What is installed: the three places that name versions agree, and make refuses a Python that cannot work."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lib.data import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NAMED = ["jupyter-book", "papermill", "torch", "torchvision", "lightly", "ffcv", "scikit-learn", "seaborn", "numpy"]


def pins(lines: list[str]) -> dict[str, str]:
    """{name: version} of the lines `name==version`."""
    found = [Requirement(line) for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
CONDA_PIP = next(entry["pip"] for entry in CONDA if isinstance(entry, dict))


@pytest.mark.parametrize(
    "requirement", [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
)
def test_tested_versions_lie_in_the_declared_ranges(requirement):
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(CONSTRAINTS[canonicalize_name(wanted.name)])


def test_conda_gets_the_tested_versions_and_every_named_package():
    found = pins(CONDA_PIP)
    assert found == {name: CONSTRAINTS[name] for name in found}
    assert set(NAMED) <= set(found)
    assert {"-c constraints.txt", "-e .[test]"} <= set(CONDA_PIP)
    assert "python=3.11" in CONDA


def test_constraints_are_exact_and_each_stands_once():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+!]+", line) for line in lines)
    assert len(CONSTRAINTS) == sum("==" in line for line in lines)


def test_every_package_that_is_imported_is_declared():
    declared = {
        canonicalize_name(Requirement(line).name)
        for line in [*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["uses"]]
    }
    providers = packages_distributions()
    imported = set()
    for path in [path for folder in ("lib", "tests", "data", "benchmarks") for path in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    ours = {"lib", "benchmarks", *(path.stem for path in ROOT.glob("tests/*.py"))}
    foreign = imported - set(sys.stdlib_module_names) - ours
    missing = {name for name in foreign if not declared & {canonicalize_name(d) for d in providers.get(name, [name])}}
    allowed = {"IPython", "ffcv"}
    assert missing <= allowed, "IPython comes with ipykernel, ffcv is an extra; declare the others in pyproject.toml"


@pytest.fixture
def make(tmp_path):
    """Runs `make test` with a Python of one's own in an empty folder; returns what it says."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)

    def run(script: str) -> str:
        python = tmp_path / "python-of-mine"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        done = subprocess.run(["make", "test", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode != 0
        assert not Path(tmp_path / ".venv").exists()
        return done.stderr + done.stdout

    return run


def pretending(change: str) -> str:
    """A Python that runs `change` before any code given with -c."""
    return f"""exec {sys.executable} -c 'import sys; {change}; exec(sys.argv[2])' "$@" """


@pytest.mark.parametrize("version", ["(3, 10, 2)", "(3, 14, 0)"])
def test_make_refuses_a_python_that_is_not_supported(make, version):
    said = make(pretending(f"sys.version_info = {version}"))
    assert "3.11 to 3.13 are supported: remove .venv and run make PYTHON=python3.11" in said


def test_make_refuses_a_python_without_ensurepip(make):
    assert "install its venv package" in make(pretending('sys.modules["ensurepip"] = None'))


def test_make_says_when_there_is_no_such_python(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(["make", "test", "PYTHON=python0"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "error: there is no python0; install Python 3.11" in done.stdout + done.stderr
