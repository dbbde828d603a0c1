"""Processes that start with all of lib imported, as forks of one that has; where not on Linux, they start afresh.

Nothing else is imported here, so that `prepare` comes before the imports of whoever calls it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from multiprocessing import forkserver, get_context, parent_process, reduction, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path

ARE_FORKS = sys.platform == "linux"  # elsewhere libraries of the system may not outlive a fork
CONTEXT = get_context("forkserver" if ARE_FORKS else "spawn")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@cache
def prepare() -> None:
    """Start what processes are forked from, beside what this one does next. It ends when all of them have."""
    heeded = {number: signal.signal(number, signal.SIG_IGN) for number in STOPS}  # a terminal's are for this one
    with chdir(Path(__file__).parents[2]):  # where the library is looked for
        if ARE_FORKS:
            forkserver.set_forkserver_preload(["lib.chapters", "lib.report.execution"])
            forkserver.ensure_running()
        resource_tracker.ensure_running()
    for number, handler in heeded.items():
        signal.signal(number, handler)


def start(function: Callable, *arguments) -> BaseProcess:
    """A process that runs function(*arguments) and writes where this one does.

    When this one ends, however that is, it is terminated, with the group of processes that it leads.
    """
    if parent_process() is None:
        prepare()
    process = CONTEXT.Process(target=_run, args=(Streams(), function, *arguments))
    process.start()
    return process


class Streams:
    """Standard output and error, handed on."""

    def __reduce__(self):
        return _adopt, tuple(map(reduction.DupFd, (1, 2)))


def _adopt(*streams) -> None:
    for number, stream in enumerate(streams, 1):
        os.dup2(stream.detach(), number)


def _run(_, function: Callable, *arguments) -> None:
    forkserver._forkserver.ensure_running = lambda: None  # what this was forked from serves; Python would start another
    for number in STOPS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def end_with_the_parent() -> None:
        parent_process().join()
        leads_a_group = os.getpgid(0) == os.getpid()
        os.kill(-os.getpid() if leads_a_group else os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_the_parent, daemon=True).start()
    function(*arguments)
