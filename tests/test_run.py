"""The strict runner: wrong input is an error before anything runs, and only a whole run replaces a page."""

import ast
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest
from papermill.exceptions import PapermillExecutionError

from lib import profiles, run
from lib.base import forks
from lib.data import ROOT, replacing
from lib.report import execution

PARAMETERS = """profile: str = "fashion"  # named set of values
n_targets: int = None  # how many; None takes the profile's
share: float = 0.5  # of the images
is_quick: bool = False  # whether to hurry
"""


def write(root: Path, name: str, code: str, parameters: str | None = PARAMETERS) -> None:
    cells = [nbformat.v4.new_code_cell(code)]
    if parameters is not None:
        cells.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def root(tmp_path) -> Path:
    """A tree with a notebook, `fig`, that says what it was given."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "one.py").write_text("x = 1\n")
    (tmp_path / "data_manifest.yaml").write_text("{}\n")
    for profile in ("fashion", "smoke"):
        (tmp_path / "results" / profile).mkdir(parents=True)
        (tmp_path / "results" / profile / "ledger").mkdir()
    write(tmp_path, "fig", "print(profile, n_targets, share, is_quick)")
    return tmp_path


def page_text(root: Path, name: str = "fig") -> str:
    """What the last cell of a page printed."""
    return nbformat.read(execution.page(name, root), as_version=4).cells[-1].outputs[0].text


def drafts(root: Path) -> list[Path]:
    return [*(root / "book" / "notebooks").glob(".*"), *(root / "_failed").glob("*")]


def test_unknown_notebook_is_met_with_those_there_are(root, capsys):
    assert run.main(["fig99"], root) == 2
    assert "there is no notebook 'fig99'; there are: fig" in capsys.readouterr().err


def test_unknown_parameter_is_met_with_the_known_ones_and_their_help(root, capsys):
    assert run.main(["fig", "-p", "n_target", "10"], root) == 2
    error = capsys.readouterr().err
    assert "fig has no parameter 'n_target'" in error
    assert "n_targets: int = None  how many; None takes the profile's" in error
    assert not execution.page("fig", root).exists()


def test_parameters_of_a_notebook_without_any(root, capsys):
    write(root, "bare", "print(1)", parameters=None)
    assert run.main(["bare", "-p", "seed", "1"], root) == 2
    assert "bare has no parameter 'seed'; it has:\n  none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("n_targets", "ten", "int"),
        ("n_targets", "1.5", "int"),
        ("n_targets", "", "int"),
        ("share", "half", "float"),
        ("share", "nan", "float"),
        ("share", "None", "float"),  # None is a value only where it is the default
        ("is_quick", "yes", "bool"),
        ("is_quick", "1", "bool"),
    ],
)
def test_ill_typed_value_is_an_error_before_the_run(root, capsys, name, text, kind):
    assert run.main(["fig", "-p", name, text], root) == 2
    assert f"fig: {name}={text!r} is not of type {kind}" in capsys.readouterr().err
    assert not execution.page("fig", root).exists()


def test_values_become_the_declared_types(root):
    given = {"profile": "smoke", "n_targets": "10", "share": "1", "is_quick": "true"}
    values = execution.parse("fig", given, execution.declared("fig", root))
    assert values == {"profile": "smoke", "n_targets": 10, "share": 1.0, "is_quick": True}
    assert [type(value) for value in values.values()] == [str, int, float, bool]
    assert execution.parse("fig", {"n_targets": "None"}, execution.declared("fig", root)) == {"n_targets": None}


@pytest.mark.parametrize(
    "arguments", [["fig", "-p", "profile", "big"], ["fig", "--profile", "big"], ["--all", "--profile", "big"]]
)
def test_unknown_profile_is_an_error_before_the_run(root, capsys, arguments):
    try:
        code = run.main(arguments, root)
    except SystemExit as stopped:  # argparse, for --profile
        code = stopped.code
    assert code == 2
    error = capsys.readouterr().err
    assert "'big'" in error and "smoke" in error
    assert not execution.page("fig", root).exists()


def test_all_takes_no_single_parameters(root, capsys):
    with pytest.raises(SystemExit):
        run.main(["--all", "-p", "n_targets", "10"], root)
    assert "-p goes with one notebook" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed = 0", "seed has type None; declare one of int, float, bool, str"),
        ("sizes: list = [1]", "sizes has type list"),
        ("seed: int = 2 * n", "the default of seed is '2 \\* n', which is not a literal"),
    ],
)
def test_parameters_cell_that_the_command_line_cannot_serve(root, line, message):
    write(root, "odd", "print(1)", parameters=line)
    with pytest.raises(ValueError, match=message):
        execution.declared("odd", root)


def test_a_page_holds_the_run_its_parameters_and_no_path_of_the_machine(root):
    bar = "import sys\nprint('\\r 50%|#', file=sys.stderr, flush=True)\n"
    write(root, "fig", f"{bar}print(profile, n_targets, share, is_quick)")
    assert run.main(["fig", "-p", "profile", "smoke", "-p", "share", "0.5"], root) == 0
    assert page_text(root) == "smoke None 0.5 False\n"
    page = nbformat.read(execution.page("fig", root), as_version=4)
    assert len(page.cells[-1].outputs) == 1, "the bar is on the terminal alone"
    assert page.metadata.companion.parameters == {
        "profile": "smoke",
        "n_targets": None,
        "share": 0.5,
        "is_quick": False,
    }
    injected = [cell.source for cell in page.cells if "injected-parameters" in cell.metadata.tags]
    assert len(injected) == 1
    assert "profile" in injected[0]
    assert "share" not in injected[0], "a value equal to its default is not injected"
    text = execution.page("fig", root).read_text()
    assert str(root) not in text
    assert sys.prefix not in text
    assert page.metadata.papermill.input_path == "notebooks/fig.ipynb"
    assert drafts(root) == []


def test_defaults_inject_nothing_and_the_page_is_current_until_something_changes(root, capsys):
    assert run.main(["--all"], root) == 0
    page = nbformat.read(execution.page("fig", root), as_version=4)
    assert not any("injected-parameters" in cell.metadata.get("tags", []) for cell in page.cells)
    before = execution.page("fig", root).read_bytes()
    capsys.readouterr()
    assert run.main(["--all"], root) == 0
    assert capsys.readouterr().out == "fig is up to date\n"
    assert run.main(["--all", "--profile", "fashion"], root) == 0, "the default, said aloud, is the same"
    assert execution.page("fig", root).read_bytes() == before


@pytest.mark.parametrize(
    "changed", ["notebooks/fig.ipynb", "lib/one.py", "lib/two.yaml", "lib/a/page.html", "data_manifest.yaml"]
)
def test_a_change_of_any_source_changes_the_stamp(root, changed):
    (root / changed).parent.mkdir(exist_ok=True)
    (root / changed).touch()
    before = execution.stamp("fig", {"seed": 0}, root)
    assert execution.stamp("fig", {"seed": 0}, root) == before
    assert execution.stamp("fig", {"seed": 1}, root) != before
    with (root / changed).open("a") as file:
        file.write("\n")
    assert execution.stamp("fig", {"seed": 0}, root) != before


def test_a_failed_run_keeps_the_old_page_and_says_why_in_one_line(root, capsys):
    # it fails in the middle, after it has seen that its old page is still in place
    code = "assert 'old page' in open('book/notebooks/fig.ipynb').read()\nraise ValueError('k is 3\\nand more')"
    execution.page("fig", root).parent.mkdir(parents=True)
    execution.page("fig", root).write_text("old page")
    write(root, "fig", code)
    assert run.main(["fig"], root) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "fig: failed: cell 2 raised ValueError: k is 3; kept in _failed/fig.ipynb, the page is as it was"
    )
    assert execution.page("fig", root).read_text() == "old page"
    assert "k is 3" in (root / "_failed" / "fig.ipynb").read_text()


def test_a_kernel_that_dies_is_a_failed_run(root, capfd):
    write(root, "fig", "import os; os._exit(1)")
    assert run.main(["fig"], root) == 1
    assert "fig: failed: the kernel died" in capfd.readouterr().err
    assert not execution.page("fig", root).exists()
    assert (root / "_failed" / "fig.ipynb").exists()


def test_all_goes_on_after_a_failure_and_reports_it(root, capfd):
    write(root, "bad", "1 / 0", parameters=None)
    assert run.main(["--all", "--profile", "smoke"], root) == 1
    assert not execution.page("bad", root).exists()
    assert page_text(root).startswith("smoke")
    said = capfd.readouterr()
    assert "bad: failed: cell 1 raised ZeroDivisionError: division by zero; kept in _failed/bad.ipynb" in said.err
    assert "bad: no parameters …" in said.out and "fig: profile smoke …" in said.out and "fig: done in" in said.out


def test_notebooks_run_side_by_side_and_the_verdicts_after_all_others(root):
    """Each of two waits for the other to begin; the verdicts read what both have written."""
    meet = """import time
from pathlib import Path
Path("{0}-began").touch()
deadline = time.monotonic() + 60
while not Path("{1}-began").exists():
    assert time.monotonic() < deadline, "{1} does not begin"
    time.sleep(0.05)
Path("{0}-ended").touch()"""
    (root / "notebooks" / "fig.ipynb").unlink()
    for name, other in (("one", "two"), ("two", "one")):
        write(root, name, meet.format(name, other), parameters=None)
    write(root, execution.LAST, "import glob; print(sorted(glob.glob('*-ended')))", parameters=None)
    assert execution.run_all(None, root, n_at_once=2) == []
    assert page_text(root, execution.LAST) == "['one-ended', 'two-ended']\n"


WORKING = """import joblib, time
def work(i):
    open(f"{name}-{i}-works", "w").close()
    time.sleep(600)
joblib.Parallel(2)(joblib.delayed(work)(i) for i in range(2))
"""


@pytest.mark.parametrize(("arguments", "number"), [(["one"], "SIGTERM"), (["--all"], "SIGHUP")])
def test_a_signal_stops_all_that_run_and_leaves_the_pages_as_they_are(root, arguments, number):
    (root / "notebooks" / "fig.ipynb").unlink()
    for name in ("one", "two"):
        write(root, name, f"name = {name!r}\n{WORKING}", parameters=None)
    code = f"""import signal, sys
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has ignored, if these tests run under it
from lib.base import forks
forks.prepare()
from lib import run
if __name__ == "__main__":
    sys.exit(run.main({arguments}, Path({str(root)!r})))"""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    program = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **options)
    deadline = time.monotonic() + 120
    while len(list(root.glob("*-works"))) < (4 if arguments == ["--all"] else 2):
        assert program.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    started = psutil.Process(program.pid).children(recursive=True)
    assert len(started) > 3
    os.killpg(program.pid, getattr(signal, number))  # as a terminal does
    _, error = program.communicate(timeout=60)
    assert program.returncode == 130
    assert error.splitlines()[-1] == "stopped; the page that was being made is as it was"
    assert psutil.wait_procs(started, timeout=20)[1] == []
    assert not list(root.glob("book/notebooks/*")) and not list(root.glob("_failed/*"))


def test_a_profile_that_covers_some_figures_runs_these_alone(root, monkeypatch):
    write(root, "other", "1 / 0", parameters=None)
    monkeypatch.setitem(profiles.PROFILES, "smoke", replace(profiles.PROFILES["smoke"], figures=("fig",)))
    assert run.main(["--all", "--profile", "smoke"], root) == 0
    assert execution.page("fig", root).exists() and not execution.page("other", root).exists()


def test_the_kernel_is_this_interpreter_in_the_root_whatever_is_installed(root, monkeypatch):
    """As modules on clusters do, JUPYTER_PATH has a kernel of that name; so has the user's folder."""
    for path in ("module", "home/.local/share/jupyter"):
        elsewhere = root / path / "kernels" / "python3"
        elsewhere.mkdir(parents=True)
        spec = {"argv": ["/nowhere/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
        (elsewhere / "kernel.json").write_text(json.dumps(spec | {"display_name": "other", "language": "python"}))
    monkeypatch.setenv("HOME", str(root / "home"))
    monkeypatch.setenv("JUPYTER_PATH", str(root / "module"))
    code = "import os, sys\nprint(sys.executable, os.getcwd(), os.environ['HOME'], 'lib.chapters' in sys.modules)"
    write(root, "where", code, parameters=None)
    assert run.main(["where"], root) == 0
    home, is_warm = str(root / "home"), str(forks.ARE_FORKS)
    assert page_text(root, "where").split() == [sys.executable, os.path.realpath(root), home, is_warm]


def test_a_fork_shows_figures_as_a_kernel_does_and_ends_with_its_threads_and_exit_functions(root):
    code = """import atexit, matplotlib.pyplot as plt, pathlib, threading, time
plt.plot([1, 2])
threading.Thread(target=lambda: (time.sleep(0.2), pathlib.Path("thread").touch())).start()
atexit.register(pathlib.Path("exit").touch);"""
    write(root, "fig", code, parameters=None)
    assert run.main(["fig"], root) == 0
    outputs = nbformat.read(execution.page("fig", root), as_version=4).cells[-1].outputs
    assert [output.output_type for output in outputs] == ["display_data"] and "image/png" in outputs[0].data
    assert (root / "thread").exists() and (root / "exit").exists()


def test_a_process_ends_with_the_one_that_started_it_however_that_ended(tmp_path):
    forks.start(_killed, tmp_path).join()
    started, deadline = [int(path.read_text()) for path in tmp_path.glob("*")], time.monotonic() + 20
    while any(map(psutil.pid_exists, started)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(started) == 2


def _killed(folder: Path) -> None:
    started = forks.start(_leading, folder / "grandchild")
    while not (folder / "grandchild").exists():
        time.sleep(0.05)
    (folder / "child").write_text(str(started.pid))
    os.kill(os.getpid(), signal.SIGKILL)


def _leading(path: Path) -> None:
    """As a kernel: it leads a group, in which it starts a process that does not look after its parent."""
    os.setsid()
    with replacing(path) as draft:
        draft.write_text(str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(600)


@pytest.mark.parametrize("text", ["", '{"cells": [', "<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n", "{}", "\udcff"])
def test_a_page_that_cannot_be_read_is_stale(root, text):
    execution.page("fig", root).parent.mkdir(parents=True)
    execution.page("fig", root).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert not execution.is_current("fig", {}, root)


def test_a_disk_that_refuses_is_one_line_and_the_others_go_on(root, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "fig.ipynb")

    monkeypatch.setattr(execution, "execute", full)
    heeded = {number: signal.getsignal(number) for number in forks.STOPS}
    try:
        with pytest.raises(SystemExit, match="1"):
            execution._attempt(("fig", {}, root), n_jobs=1)
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
    assert run.main(["fig"], root) == 1
    line = "fig: failed: [Errno 28] No space left on device: 'fig.ipynb'\n"
    assert capsys.readouterr().err == 2 * line


def test_a_terminal_without_an_ellipsis_will_do(root, monkeypatch):
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    monkeypatch.setattr(execution, "execute", lambda *_: None)
    assert run.main(["fig"], root) == 0
    latin.flush()
    assert latin.buffer.getvalue().startswith(b"fig: profile fashion ?\n")


def test_a_name_that_is_not_utf8_is_refused(root, capsys):
    write(root, "mine", "print(target)", parameters="target: str = None  # a file")
    assert run.main(["mine", "-p", "target", "test/cat/\udcff.png"], root) == 2
    assert capsys.readouterr().err == "error: mine: target='test/cat/\\udcff.png' is not UTF-8; rename the file\n"


@pytest.mark.parametrize(
    ("arguments", "twice"),
    [
        (["-p", "n_targets", "5", "-p", "n_targets", "10"], "n_targets"),
        (["--profile", "smoke", "-p", "profile", "smoke"], "profile"),
    ],
)
def test_a_parameter_given_twice_is_an_error(root, capsys, arguments, twice):
    with pytest.raises(SystemExit):
        run.main(["fig", *arguments], root)
    assert f"parameter {twice} is given 2 times; give it once" in capsys.readouterr().err


@pytest.mark.parametrize("dry_run", ["false", "true"])
@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("seed", "-1", "seed=-1 must be a whole number of at least 0"),
        ("device", "gpu", "device='gpu' must be auto, cpu, cuda"),
        ("n_jobs", "0", "n_jobs=0 must be 1 or more processes"),
        ("scheduler", "foo", "scheduler='foo' must be an address"),
        ("dataset", "birds", "'birds' is not in data_manifest.yaml"),
        ("epochs", "2", "epochs=2 must exceed warmup_epochs"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses_before_anything_runs(monkeypatch, capsys, name, text, message, dry_run):
    monkeypatch.setattr(execution, "make", None)
    values = ["-p", "profile", "paper", "-p", name, text]
    assert run.main(["fig03", *values, "-p", "dry_run", dry_run]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_that_is_asked_for_help_does_not_start(path):
    source = path.read_text(encoding="utf-8")
    assert ("__main__" in source) == ("ArgumentParser(" in source)


def test_make_hands_the_profile_on_to_notebooks_without_one():
    said = subprocess.run(["make", "-n", "departures", "PROFILE=smoke"], cwd=ROOT, capture_output=True, text=True)
    assert "-m lib.run departures --profile smoke" in said.stdout


def test_the_short_form_of_the_profile_goes_with_every_notebook(root):
    write(root, "bare", "print(1)", parameters=None)
    assert execution.asked("bare", {}, root, "smoke") == {}
    assert execution.asked("fig", {}, root, "smoke")["profile"] == "smoke"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("\n$a^$\nExpected end of text", "$a^$"),
        ("", "it says no more"),
        ("\n \n", "it says no more"),
        ("k is 3", "k is 3"),
    ],
)
def test_the_first_line_of_a_message_is_one_that_says_something(said, line):
    error = PapermillExecutionError(0, 7, "", "ValueError", said, [])
    assert execution._cause(error) == f"cell 7 raised ValueError: {line}"


SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_source_notebooks_are_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_page_that_shows_results_keeps_them(path):
    code = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert any(call in code for call in ("page.save(", "page.write(")) == ("Page(" in code or "open_page(" in code)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_declared_parameter_is_lost_on_papermill(path):
    cells = [
        cell.source for cell in nbformat.read(path, as_version=4).cells if "parameters" in cell.metadata.get("tags", [])
    ]
    assert len(cells) <= 1
    written = [line.target.id for cell in cells for line in ast.parse(cell).body]
    known = execution.declared(path.stem, ROOT)
    assert list(known) == written, "papermill skips a line with a second '=' sign or without a plain type"
    assert all(parameter["help"] for parameter in known.values())
    assert list(papermill.inspect_notebook(str(path))) == written


def test_a_page_whose_results_were_deleted_is_stale(root):
    run.main(["fig"], root)
    values = {key: parameter["default"] for key, parameter in execution.declared("fig", root).items()}
    assert execution.is_current("fig", values, root)
    (root / "results" / "fashion" / "ledger").rmdir()
    assert not execution.is_current("fig", values, root)


PLANNED = """from lib.report import Page
page = Page("fig", locals())
supports = page.supports([("removal", "pixels_l2")])
"""


@pytest.fixture
def planned(root) -> Path:
    """The tree, whose notebook asks for supports."""
    write(root, "fig", PLANNED)
    return root


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_a_dry_run_counts_and_touches_nothing(planned, capsys, text):
    before = sorted(planned.rglob("*"))
    assert run.main(["fig", "-p", "profile", "smoke", "-p", "n_targets", "20", "-p", "dry_run", text], planned) == 0
    said = capsys.readouterr().out
    assert "Profile smoke, with values overridden" in said and "20 targets" in said
    assert re.search(r"removal, separate +40 +60 +60 ", said) and sorted(planned.rglob("*")) == before, said


def test_a_dry_run_of_values_that_do_not_fit_is_an_error(planned, capsys):
    assert run.main(["fig", "-p", "profile", "smoke", "-p", "n_targets", "12", "-p", "dry_run", "true"], planned) == 2
    assert "n_targets=12 must be a multiple of the 5 classes" in capsys.readouterr().err


def test_a_dry_run_computes_nothing_of_a_notebook_without_a_page(root, capsys):
    assert run.main(["fig", "-p", "dry_run", "true"], root) == 2
    assert "a dry run reads no images; let the notebook open its study by lib.report.Page" in capsys.readouterr().err


def test_a_dry_run_needs_a_profile(root, capsys):
    write(root, "bare", "print(1)", parameters=None)
    assert run.main(["bare", "-p", "dry_run", "true"], root) == 2
    assert "bare has no parameter 'dry_run'" in capsys.readouterr().err


def test_without_a_dry_run_the_page_does_not_know_of_it(root):
    assert run.main(["fig", "-p", "dry_run", "false"], root) == 0
    assert "dry_run" not in nbformat.read(execution.page("fig", root), as_version=4).metadata.companion.parameters
