"""Runs a source notebook into a page of the book, strictly: `python -m lib.run fig03 -p profile smoke`.

Plain papermill runs every notebook too, but it only logs an unknown parameter, and leaves a half-run notebook where the
page should be. Here a wrong name or type is an error before anything runs, and only a whole run replaces a page. Each
page carries a stamp of what it was made from, so that `--all` runs the stale ones alone. Nothing in lib imports this.
"""

import argparse
import ast
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from lib.data import ROOT
from lib.profiles import NAMES, PROFILES

KERNEL = {
    "kernel_name": "python3",
    "extra_arguments": ["--log-level=ERROR"],  # else every run opens with a warning that loopback is not encrypted
    "progress_bar": False,
    "stderr_file": sys.stderr,  # progress bars and warnings of the notebook reach the terminal
}


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


TYPES: dict[str, Callable] = {"int": int, "float": _finite, "bool": _truth, "str": str}
# Of every notebook that has a profile, beside its own parameters: it says what would be computed, and computes nothing.
DRY_RUN = {"dry_run": {"type": "bool", "default": False, "help": "whether to count what would be computed instead"}}


def names(root: Path = ROOT) -> list[str]:
    """The source notebooks, by name: fig02, fig03, …"""
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def source(name: str, root: Path = ROOT) -> Path:
    """The source notebook of that name. FileNotFoundError, with the names there are, when there is none."""
    if name not in names(root):
        raise FileNotFoundError(f"there is no notebook {name!r}; there are: {', '.join(names(root))}")
    return root / "notebooks" / f"{name}.ipynb"


def page(name: str, root: Path = ROOT) -> Path:
    """Where the executed notebook goes: a page of the book, generated, never edited by hand."""
    return root / "book" / "notebooks" / f"{name}.ipynb"


def declared(name: str, root: Path = ROOT) -> dict[str, dict]:
    """The parameters of a notebook, {name: {type, default, help}}, as its parameters cell declares them.

    ValueError for a parameter without a type that the command line can set, or whose default is not a literal.
    """
    known = {}
    for key, entry in papermill.inspect_notebook(str(source(name, root))).items():
        kind, default = entry["inferred_type_name"], entry["default"]
        try:
            known[key] = {"type": kind, "default": ast.literal_eval(default), "help": entry["help"]}
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"{name}: the default of {key} is {default!r}, which is not a literal") from error
        if kind not in TYPES:
            raise ValueError(f"{name}: {key} has type {kind}; declare one of {', '.join(TYPES)}: `{key}: int = 5`")
    return known


def parse(name: str, given: dict[str, str], known: dict[str, dict]) -> dict:
    """Typed values of the parameters given as text. `None` is a value only where it is the default.

    ValueError for an unknown parameter, for text that is not of the declared type, and for an unknown profile.
    """
    values = {}
    for key, text in given.items():
        if key not in known:
            lines = [f"  {k}: {p['type']} = {p['default']!r}  {p['help']}" for k, p in known.items()]
            raise ValueError(f"{name} has no parameter {key!r}; it has:\n" + "\n".join(lines or ["  none"]))
        kind = known[key]["type"]
        try:
            values[key] = None if text == str(known[key]["default"]) == "None" else TYPES[kind](text)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{name}: {key}={text!r} is not of type {kind} ({known[key]['help']})") from error
    if values.get("profile", NAMES[0]) not in NAMES:
        raise ValueError(f"{name}: there is no profile {values['profile']!r}; there are: {', '.join(NAMES)}")
    return values


def stamp(name: str, values: dict, root: Path = ROOT) -> str:
    """Digest (sha256 hex) of what a page is made from: notebook, library, data manifest, every parameter's value."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    sources = sorted([*(root / "lib").rglob("*.py"), *(root / "lib").rglob("*.yaml")])
    for path in [source(name, root), *sources, root / "data_manifest.yaml"]:
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def is_current(name: str, values: dict, root: Path = ROOT) -> bool:
    """Whether the page was made from the present sources with these values, and its results are still there."""
    ledger = root / "results" / values.get("profile", "") / "ledger"
    if not page(name, root).exists() or ("profile" in values and not ledger.exists()):
        return False
    made_from = nbformat.read(page(name, root), as_version=4).metadata.get("companion", {})
    return made_from.get("stamp") == stamp(name, values, root)


def execute(name: str, values: dict, changed: dict, root: Path = ROOT) -> None:
    """Run the notebook with the `changed` parameters; replace its page when the run is whole.

    values: those of all its parameters, for the stamp. RuntimeError with the cause in one line when a cell fails or the
    kernel dies: the half-run notebook is then kept in _failed/, and the page stays as it was.
    """
    target = page(name, root)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{name}-{os.getpid()}.ipynb")
    made_from = stamp(name, values, root)  # before the run: a source edited meanwhile leaves the page stale
    try:
        papermill.execute_notebook(str(source(name, root)), str(draft), changed, cwd=root, **KERNEL)
        notebook = nbformat.read(draft, as_version=4)
        relative = {"input_path": f"notebooks/{name}.ipynb", "output_path": f"book/notebooks/{name}.ipynb"}
        notebook.metadata.papermill.update(relative)  # papermill writes the machine's paths; the book shows none
        notebook.metadata["companion"] = {"stamp": made_from, "parameters": values}
        nbformat.write(notebook, draft)
        draft.replace(target)
    except (PapermillExecutionError, DeadKernelError) as error:
        kept = root / "_failed" / f"{name}.ipynb"
        kept.parent.mkdir(exist_ok=True)
        draft.replace(kept)
        raise RuntimeError(f"{_cause(error)}; kept in _failed/{name}.ipynb, the page is as it was") from error
    finally:
        draft.unlink(missing_ok=True)


def _cause(error: Exception) -> str:
    if isinstance(error, DeadKernelError):
        return "the kernel died, most often for want of memory"
    return f"cell {error.exec_count} raised {error.ename}: {error.evalue.splitlines()[0] if error.evalue else ''}"


def dry_run(name: str, values: dict, root: Path = ROOT) -> str:
    """What the notebook would compute (see `lib.report.plan`): its cells up to the one tagged `plan` are run, here.

    Raises ValueError where a value does not fit, or no cell has the tag.
    """
    cells = [cell for cell in nbformat.read(source(name, root), as_version=4).cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    if not any("plan" in some for some in tags):
        raise ValueError(f"{name} has no cell tagged plan: say there what it computes, see the developers' guide")
    namespace = {}
    for cell, some in zip(cells, tags, strict=True):
        exec(compile(cell.source, f"{name}, cell {cell.id}", "exec"), namespace)
        if "parameters" in some:
            namespace |= values
        if "plan" in some:
            break
    from lib.report import plan  # here, since a run that computes does not need it

    return plan.text(namespace["values"], **{key: namespace[key] for key in plan.NAMES if key in namespace})


def run(name: str, given: dict[str, str], only_if_stale: bool = False, root: Path = ROOT) -> None:
    """Check the parameters, run the notebook, say so in two lines; or print what it would compute, for a dry run.

    Errors: those of `parse`, `execute` and `dry_run`.
    """
    known = declared(name, root)
    defaults = {key: parameter["default"] for key, parameter in known.items()}
    values = defaults | parse(name, given, known | (DRY_RUN if "profile" in known else {}))
    if values.pop("dry_run", False):
        print(dry_run(name, values, root))
        return
    if only_if_stale and is_current(name, values, root):
        print(f"{name} is up to date")
        return
    # what equals its default is not injected: an extra cell on the page then always means a departure from it
    changed = {key: value for key, value in values.items() if value != defaults[key]}
    shown = ", ".join(f"{key} {value}" for key, value in values.items() if key == "profile" or key in changed)
    print(f"{name}: {shown or 'no parameters'} …", flush=True)
    start = time.perf_counter()
    execute(name, values, changed, root)
    print(f"{name}: done in {time.perf_counter() - start:.0f} s", flush=True)


def run_all(profile: str | None, root: Path = ROOT) -> list[str]:
    """Run every notebook whose page is stale; go on after a failure. Returns the names of those that failed.

    Of a profile that covers some figures alone, these.
    """
    failed, covered = [], PROFILES[profile].figures if profile else None
    for name in names(root) if covered is None else covered:
        given = {"profile": profile} if profile and "profile" in declared(name, root) else {}
        try:
            run(name, given, only_if_stale=True, root=root)
        except RuntimeError as error:
            print(f"{name}: failed: {error}", file=sys.stderr)
            failed.append(name)
    return failed


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line. Returns 0, 1 when a run failed, 2 for wrong input, 130 when stopped by the keyboard."""
    parser = argparse.ArgumentParser("python -m lib.run", description="Run source notebooks into pages of the book.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", help="a notebook: fig03")
    what.add_argument("--all", action="store_true", help="every notebook whose page is out of date")
    parser.add_argument("--profile", choices=NAMES, help="short for -p profile NAME, where a notebook has profiles")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter")
    args = parser.parse_args(argv)
    given = ({"profile": args.profile} if args.profile else {}) | dict(args.p)
    if args.all and args.p:
        parser.error("-p goes with one notebook; --all takes --profile")
    try:
        if args.all:
            return 1 if run_all(args.profile, root) else 0
        run(args.name, given, root=root)
    except (FileNotFoundError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(f"{args.name}: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the page that was being made is as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
