# make book                      the book, from clone to _build/html/index.html
# make test                      lint and tests
# make fig03 PROFILE=smoke       one notebook into its page
# make figures PROFILE=smoke     every notebook whose page is out of date, on all cores
# make bench                     benchmarks, as ratios measured side by side
# make fig03 REPLACE=1           as above; results that came with the repository are replaced where they differ
# make clean                     remove what is generated; results/ and .venv stay
#
# PYTHON chooses the interpreter that .venv is made with, EXTRAS what is installed beside what book and tests need (see
# pyproject.toml), PROFILE the set of values (default: the notebooks' own).

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(if $(shell $(name) -V 2>/dev/null),$(name))) python3.11)
BIN := .venv/bin
INSTALLED := .venv/installed
unexport PYTHONDONTWRITEBYTECODE  # else every process compiles torch anew
NOTEBOOKS := $(basename $(notdir $(wildcard notebooks/*.ipynb)))

.PHONY: book html test figures bench clean $(NOTEBOOKS)
.DEFAULT:
	@echo "there is no target $@; there are: book, html, test, figures, audit, bench, clean, and a page each:" $(NOTEBOOKS) >&2
	@exit 2

book: figures html
	@echo "The book: $(CURDIR)/_build/html/index.html"

# Of MathJax's bundles the pages load tex-chtml.js: without the others, and what they load, the book weighs less.
html:
	$(BIN)/python -m lib.report.explorer
	$(BIN)/jupyter-book build book/ --all -n -W --keep-going
	@cd _build/html/_static/mathjax && \
		rm -rf *-svg* mml-* tex-mml-* *-full* node-main.js latest.js input/mml* input/asciimath.js output/svg*

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n auto

figures: $(INSTALLED)
	$(BIN)/python -m lib.run --all $(if $(PROFILE),--profile $(PROFILE))

$(filter-out audit,$(NOTEBOOKS)): $(INSTALLED)
	$(BIN)/python -m lib.run $@ $(if $(PROFILE),--profile $(PROFILE))

audit: $(INSTALLED)
	$(BIN)/python -m lib.audit

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf _build _failed book/notebooks

define CHECK_VERSION
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"error: {sys.executable} is Python {sys.version.split()[0]}; 3.11 to 3.13 are supported: "
             "remove .venv and run make PYTHON=python3.11")
endef
define CHECK_VENV
try:
    import ensurepip, venv
except ImportError as error:
    raise SystemExit(f"error: {error}; this Python cannot make virtual environments: install its venv package "
                     "(Debian, Ubuntu: apt install python3-venv)") from None
endef
export CHECK_VERSION CHECK_VENV

# Keyed on what decides the installed set, so that the second time is instant. Modules are compiled when they are first
# imported, most never are.
$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || test -x $(BIN)/python || { echo "error: there is no $(PYTHON); install Python 3.11, or name one: make PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || { $(PYTHON) -c "$$CHECK_VERSION" && $(PYTHON) -c "$$CHECK_VENV" && $(PYTHON) -m venv .venv; }
	@$(BIN)/python -c "$$CHECK_VERSION"
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt -e '.[test$(EXTRAS:%=,%)]'
	@touch $@
