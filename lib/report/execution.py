"""Source notebooks into pages of the book, strictly: what `python -m lib.run` does.

Plain papermill runs every notebook too, but it only logs an unknown parameter, and leaves a half-run notebook where the
page should be. Here a wrong name or type is an error before anything runs, and only a whole run replaces a page. Each
page carries a stamp of what it was made from, so that `run_all` runs the stale ones alone.
"""

import ast
import hashlib
import json
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import joblib
import matplotlib
import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from lib.data import ROOT, pick_device
from lib.profiles import NAMES, PROFILES

FIRST = ("own", "method")  # of all notebooks: they train, whatever is stored
LAST = "verdicts"  # it reads the tables of the others
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


def asked(name: str, given: dict[str, str], root: Path = ROOT) -> dict:
    """The values of all parameters of a notebook. given: as text. Errors: those of `declared` and `parse`."""
    known = declared(name, root)
    defaults = {key: parameter["default"] for key, parameter in known.items()}
    return defaults | parse(name, given, known | (DRY_RUN if "profile" in known else {}))


def stamp(name: str, values: dict, root: Path = ROOT) -> str:
    """Digest (sha256 hex) of what a page is made from: notebook, library, data manifest, every parameter's value."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    sources = sorted([*(root / "lib").rglob("*.py"), *(root / "lib").rglob("*.yaml")])
    for path in [source(name, root), *sources, root / "data_manifest.yaml"]:
        digest.update(f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
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


def make(name: str, values: dict, root: Path = ROOT) -> None:
    """Run a notebook with all its parameters' values into its page, and say so in two lines; see `execute`."""
    # what equals its default is not injected: an extra cell on the page then always means a departure from it
    known = declared(name, root)
    changed = {key: value for key, value in values.items() if value != known[key]["default"]}
    shown = ", ".join(f"{key} {value}" for key, value in values.items() if key == "profile" or key in changed)
    print(f"{name}: {shown or 'no parameters'} …", flush=True)
    start = time.perf_counter()
    execute(name, values, changed, root)
    print(f"{name}: done in {time.perf_counter() - start:.0f} s", flush=True)


def dry_run(name: str, values: dict, root: Path = ROOT) -> str:
    """What the notebook would compute: it is run here, on a study that trains nothing (see `lib.report.plan`).

    Where it needs results that are not there, what it has asked for before is the plan. Raises ValueError where a value
    does not fit.
    """
    from lib.report import Page, plan  # here, since a run that computes does not need it

    matplotlib.use("Agg")
    cells = [cell for cell in nbformat.read(source(name, root), as_version=4).cells if cell.cell_type == "code"]
    namespace, ended = {"__name__": "__main__"}, ""
    with plan.counting() as studies, redirect_stdout(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # made-up numbers do not vary as real ones
        try:
            for cell in cells:
                exec(compile(cell.source, f"{name}, cell {cell.id}", "exec"), namespace)
                if "parameters" in cell.metadata.get("tags", []):
                    namespace |= values
        except FileNotFoundError as error:
            ended = f"\n\nCounted until {error.filename or error} was needed, which is not there."
    return plan.text(Page(name, values).values, studies) + ended


def run(name: str, given: dict[str, str], root: Path = ROOT) -> None:
    """Make a page; or print what that would compute, for a dry run. Errors: of `asked`, `execute` and `dry_run`."""
    values = asked(name, given, root)
    if values.pop("dry_run", False):
        print(dry_run(name, values, root))
    else:
        make(name, values, root)


def run_all(profile: str | None, root: Path = ROOT, n_at_once: int | None = None) -> list[str]:
    """Make every page that is stale, so many at once, one per core by default; go on after a failure.

    On CUDA one at a time by default, since all share the GPU. Of a profile that covers some figures alone, these.
    Returns the names of those that failed.
    """
    stale, covered = {}, PROFILES[profile].figures if profile else None
    for name in names(root) if covered is None else covered:
        values = asked(name, {"profile": profile} if profile and "profile" in declared(name, root) else {}, root)
        if is_current(name, values, root):
            print(f"{name} is up to date", flush=True)
        else:
            stale[name] = (name, values, root)
    last = [stale.pop(LAST)] if LAST in stale else []
    first = sorted(stale.values(), key=lambda task: task[0] not in FIRST)
    cores = joblib.cpu_count()
    n_at_once = n_at_once or min(max(1, len(first)), cores if pick_device("auto") == "cpu" else 1)
    n_jobs = -(-2 * cores // n_at_once)  # of each: twice the cores in all, since most wait for others or only read
    # Workers are started afresh: a fork takes over locks that threads of this process may hold.
    with get_context("spawn").Pool(n_at_once, _begin, [n_jobs]) as pool:  # an interrupt stops those that run
        failed = [name for tasks in (first, last) for name in pool.imap_unordered(_attempt, tasks) if name]
        pool.close()
        pool.join()
    return failed


def _begin(n_jobs: int) -> None:
    """In a worker, which heeds its parent and not the keyboard: how many processes each notebook takes at most."""
    os.environ["LOKY_MAX_CPU_COUNT"] = str(n_jobs)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())


def _attempt(task: tuple[str, dict, Path]) -> str | None:
    """`make`, in a worker; the name of the notebook where it fails."""
    try:
        make(*task)
    except RuntimeError as error:
        print(f"{task[0]}: failed: {error}", file=sys.stderr, flush=True)
        return task[0]
