"""Source notebooks into pages of the book, strictly: what `python -m lib.run` does.

Plain papermill runs every notebook too, but it only logs an unknown parameter, and leaves a half-run notebook where the
page should be. Here a wrong name or value is an error before anything runs, and only a whole run replaces a page. Each
page carries a stamp of what it was made from, so that `run_all` runs the stale ones alone.
"""

import ast
import atexit
import hashlib
import json
import logging
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from importlib.metadata import EntryPoint
from itertools import islice
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import joblib
import matplotlib
import matplotlib.pyplot as plt
import nbformat
import papermill
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from lib.base import check, forks
from lib.data import ROOT, STANDING, pick_device, replacing
from lib.engine import Tally
from lib.profiles import PROFILES
from lib.report import plan
from lib.report.page import Page

FIRST = ("own", "method")  # of all notebooks: they train, whatever is stored
LAST = "verdicts"  # it reads the tables of the others


class Fork(LocalProvisioner):
    """A kernel that `lib.base.forks` starts, in a session of its own."""

    async def launch_kernel(self, cmd: list[str], **kwargs) -> dict:
        arguments = cmd[cmd.index("ipykernel_launcher") :]
        self.process = Popen(forks.start(_kernel, arguments, os.getcwd(), kwargs["env"]))
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class Popen:
    """A process as one of subprocess, of which `LocalProvisioner` knows."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess):
        self.pid, self._process = process.pid, process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _kernel(arguments: list[str], cwd: Path, environment: dict[str, str]) -> None:
    """What `python -m ipykernel_launcher` does, with all of lib imported."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    matplotlib.rcParams["backend"] = os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    sys.argv = arguments
    tqdm.set_lock(threading.RLock())  # else a semaphore, which is left behind where the kernel is killed
    IPKernelApp.launch_instance()
    atexit._run_exitfuncs()  # a process of multiprocessing ends without


class ThisPython(AsyncKernelManager):  # whatever is installed under the kernel's name
    kernel_spec = KernelSpec(**get_kernel_dict())


if forks.ARE_FORKS:
    FORK = EntryPoint("fork", f"{__name__}:Fork", KernelProvisionerFactory.GROUP_NAME)
    KernelProvisionerFactory.instance().provisioners[FORK.name] = FORK
    ThisPython.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": FORK.name}


KERNEL = {
    "kernel_name": "python3",
    "kernel_manager_class": ThisPython,
    "extra_arguments": ["--log-level=CRITICAL"],  # else it warns of loopback, and of the interrupt that ends it
    "progress_bar": False,
    "stderr_file": sys.stderr,  # progress bars and warnings of the notebook reach the terminal
}


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


TRUTHS = {"true": True, "false": False}
TYPES: dict[str, Callable] = {"int": int, "float": _finite, "bool": lambda text: TRUTHS[text.lower()], "str": str}
# Of every notebook that trains, beside its own parameters: it says what would be computed, and computes nothing.
DRY_RUN = {"dry_run": {"type": "bool", "default": False, "help": "whether to count what would be computed instead"}}


def names(root: Path = ROOT) -> list[str]:
    """The source notebooks, by name: fig02, fig03, …"""
    return sorted(path.stem for path in (root / "notebooks").glob("*.ipynb"))


def source(name: str, root: Path = ROOT) -> Path:
    """The source notebook of that name. ValueError, with the names there are, when there is none."""
    if name not in names(root):
        raise ValueError(f"there is no notebook {name!r}; there are: {', '.join(names(root))}")
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

    ValueError for an unknown parameter, and for text that is not of the declared type or beyond `lib.base`.
    """
    values = {}
    for key, text in given.items():
        if key not in known:
            lines = [f"  {k}: {p['type']} = {p['default']!r}  {p['help']}" for k, p in known.items()]
            raise ValueError(f"{name} has no parameter {key!r}; it has:\n" + "\n".join(lines or ["  none"]))
        kind = known[key]["type"]
        try:
            text.encode()
            values[key] = None if text == str(known[key]["default"]) == "None" else TYPES[kind](text)
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: {key}={text!r} is not UTF-8; rename the file") from error
        except (KeyError, ValueError) as error:
            raise ValueError(f"{name}: {key}={text!r} is not of type {kind} ({known[key]['help']})") from error
        check(key, values[key])
    return values


def asked(name: str, given: dict[str, str], root: Path = ROOT, profile: str | None = None) -> dict:
    """The values of all parameters. given: as text. profile: where it has one. Errors: of `parse` and `Page`."""
    known = declared(name, root)
    defaults = {key: parameter["default"] for key, parameter in known.items()}
    if "profile" not in known:
        return defaults | parse(name, given, known | (DRY_RUN if "device" in known else {}))
    values = defaults | parse(name, given | ({"profile": profile} if profile else {}), known | DRY_RUN)
    Page(name, values | {"dry_run": None})  # checks them together
    return values


def stamp(name: str, values: dict, root: Path = ROOT) -> str:
    """Digest (sha256 hex) of what a page is made from: notebook, library, data manifest, every parameter's value."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    sources = sorted(path for path in (root / "lib").rglob("*.*") if path.suffix in (".py", ".yaml", ".html"))
    for path in [source(name, root), *sources, root / "data_manifest.yaml"]:
        digest.update(f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def is_current(name: str, values: dict, root: Path = ROOT) -> bool:
    """Whether the page can be read, was made from the present sources with these values, and has its results still."""
    try:
        made_from = json.loads(page(name, root).read_text(encoding="utf-8"))["metadata"]["companion"]["stamp"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    ledger = root / "results" / values.get("profile", "") / "ledger"
    return made_from == stamp(name, values, root) and ("profile" not in values or ledger.exists())


def execute(name: str, values: dict, changed: dict, root: Path = ROOT) -> None:
    """Run the notebook with the `changed` parameters; replace its page when the run is whole.

    values: those of all its parameters, for the stamp. It runs in _failed/. RuntimeError with the cause in one line
    when a cell fails or the kernel dies: the half-run notebook is then kept there, and the page stays as it was.
    """
    draft = root / "_failed" / f"{name}.ipynb"
    draft.parent.mkdir(exist_ok=True)
    made_from = stamp(name, values, root)  # before the run: a source edited meanwhile leaves the page stale
    try:
        notebook = papermill.execute_notebook(str(source(name, root)), str(draft), changed, cwd=root, **KERNEL)
    except (PapermillExecutionError, DeadKernelError) as error:
        raise RuntimeError(f"{_cause(error)}; kept in _failed/{name}.ipynb, the page is as it was") from error
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    for cell in notebook.cells:  # progress bars are for the terminal
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not output.get("text", "").startswith("\r")]
    relative = {"input_path": f"notebooks/{name}.ipynb", "output_path": f"book/notebooks/{name}.ipynb"}
    notebook.metadata.papermill.update(relative)  # papermill writes the machine's paths; the book shows none
    notebook.metadata["companion"] = {"stamp": made_from, "parameters": values}
    with replacing(page(name, root)) as path:
        nbformat.write(notebook, path)
    draft.unlink()


def _cause(error: Exception) -> str:
    if isinstance(error, DeadKernelError):
        return "the kernel died, most often for want of memory"
    lines = [line.strip() for line in error.evalue.splitlines() if line.strip()]
    return f"cell {error.exec_count} raised {error.ename}: {lines[0] if lines else 'it says no more'}"


def make(name: str, values: dict, root: Path = ROOT) -> None:
    """Run a notebook with all its parameters' values into its page, and say so in two lines; see `execute`."""
    # what equals its default is not injected: an extra cell on the page then always means a departure from it
    known = declared(name, root)
    changed = {key: value for key, value in values.items() if value != known[key]["default"]}
    shown = ", ".join(f"{key} {value}" for key, value in values.items() if key == "profile" or key in changed)
    print(f"{name}: {shown or 'no parameters'} …", flush=True)
    start = time.perf_counter()
    execute(name, values, changed, root)
    where = page(name, root).relative_to(root)
    print(f"{name}: done in {time.perf_counter() - start:.0f} s: {where}; `make html` shows it in the book", flush=True)


def dry_run(name: str, values: dict, root: Path = ROOT) -> str:
    """What the notebook would compute: it is run here, on a study that trains nothing (see `lib.report.plan`).

    Where it needs results that are not there, what it has asked for before is the plan. Raises ValueError where a value
    does not fit.
    """
    cells = [cell for cell in nbformat.read(source(name, root), as_version=4).cells if cell.cell_type == "code"]
    if not any("locals()" in cell.source for cell in cells):
        raise ValueError(f"{name}: a dry run reads no images; let the notebook open its study by lib.report.Page")
    namespace, tally, ended = {"__name__": "__main__"}, Tally(), ""
    plt.switch_backend("Agg")
    with redirect_stdout(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # made-up numbers do not vary as real ones
        try:
            for cell in cells:
                exec(compile(cell.source, f"{name}, cell {cell.id}", "exec"), namespace)
                if "parameters" in cell.metadata.get("tags", []):
                    namespace |= values | {"dry_run": tally}
        except plan.Counted as counted:
            return str(counted)
        except FileNotFoundError as error:
            ended = f"\n\nCounted as far as what is here: {error}"
    plt.close("all")
    return plan.text(Page(name, values).values, tally) + ended


def run(name: str, given: dict[str, str], root: Path = ROOT, profile: str | None = None) -> None:
    """Make a page; or print what that would compute, for a dry run. Errors: of `asked`, `execute` and `dry_run`."""
    values = asked(name, given, root, profile)
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
        values = asked(name, {}, root, profile)
        if is_current(name, values, root):
            print(f"{name} is up to date", flush=True)
        else:
            stale[name] = (name, values, root)
    last = [stale.pop(LAST)] if LAST in stale else []
    first = sorted(stale.values(), key=lambda task: task[0] not in FIRST)
    cores = joblib.cpu_count()
    n_at_once = n_at_once or min(max(1, len(first)), cores if pick_device("auto") == "cpu" else 1)
    n_jobs = -(-2 * cores // n_at_once)  # of each: twice the cores in all, since most wait for others or only read
    return [name for tasks in (first, last) for name in _side_by_side(tasks, n_at_once, n_jobs)]


def _side_by_side(tasks: list[tuple], n_at_once: int, n_jobs: int) -> Iterator[str]:
    """Make pages, each in a process; the names of those that failed. An interrupt stops those that run."""
    waiting, running = iter(tasks), {}
    try:
        while True:
            for task in islice(waiting, n_at_once - len(running)):
                process = forks.start(_attempt, task, n_jobs)
                running[process.sentinel] = process, task[0]
            if not running:
                return
            for sentinel in wait(running):
                process, name = running.pop(sentinel)
                process.join()
                if process.exitcode:
                    yield name
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.join()


def begin() -> None:
    """Of a process that runs notebooks: SIGTERM and SIGHUP stop it as the keyboard does, and every terminal will do.

    Paths that a parameter names are meant from here, also by kernels, which start elsewhere.
    """
    os.environ.setdefault(STANDING, os.getcwd())
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # not where nohup has them ignored
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # not all have an ellipsis
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it tells of the cell that was stopped at length


def _attempt(task: tuple[str, dict, Path], n_jobs: int) -> None:
    """`make`, in a process of its own, which heeds its parent and not the keyboard; exits with 1 where it fails.

    n_jobs: how many processes the notebook takes at most.
    """
    begin()
    os.environ["LOKY_MAX_CPU_COUNT"] = str(n_jobs)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        make(*task)
    except (RuntimeError, OSError) as error:
        print(f"{task[0]}: failed: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
