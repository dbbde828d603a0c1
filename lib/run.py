"""The command line of the notebooks: `python -m lib.run fig03 -p profile smoke`, `python -m lib.run --all`.

What it does stands in `lib.report.execution`. Nothing in lib imports this.
"""

import argparse
import sys
from pathlib import Path

from lib.base import forks

if __name__ == "__main__":
    forks.prepare()  # beside the imports that follow

from lib.data import ROOT
from lib.profiles import NAMES
from lib.report import execution


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """The command line. Returns 0, 1 when a run failed, 2 for wrong input, 130 when stopped by keyboard or signal."""
    parser = argparse.ArgumentParser("python -m lib.run", description="Run source notebooks into pages of the book.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", help="a notebook: fig03")
    which.add_argument("--all", action="store_true", help="every notebook whose page is out of date")
    parser.add_argument("--profile", choices=NAMES, help="short for -p profile NAME, where a notebook has profiles")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter")
    args = parser.parse_args(argv)
    given = [name for name, _ in args.p] + ["profile"] * bool(args.profile)
    if args.all and args.p:
        parser.error("-p goes with one notebook; --all takes --profile")
    if twice := [name for name in given if given.count(name) > 1]:
        parser.error(f"parameter {twice[0]} is given {len(twice)} times; give it once")
    execution.begin()
    try:
        if args.all:
            return 1 if execution.run_all(args.profile, root) else 0
        execution.run(args.name, dict(args.p), root, args.profile)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, OSError) as error:
        print(f"{args.name or 'run'}: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the page that was being made is as it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
