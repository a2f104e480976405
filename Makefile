# Each target is complete in itself: on a machine with Python 3.11 and make, any of them may be the first command.

PYTHON ?= python3

BIN   := .venv/bin
STAMP := .venv/.set-up

# The stamp is the last thing a set-up writes, and it holds the folder's path: a virtual environment that was left
# half-made, that has moved, or whose Python is gone, is not intact.
INTACT = [ "$$(cat $(STAMP) 2>/dev/null)" = "$$(pwd -P)" ] && [ -x $(BIN)/gradlab ] && $(BIN)/python -c "" 2>/dev/null
READY  = [ $(STAMP) -nt pyproject.toml ] && $(INTACT)

.PHONY: help check test lint clean set-up bench bench-set-up soak faults

BENCHMARKS  := gradient_time check_time detection growth throughput training_time frameworks grading
BENCH_BIN   := .venv-bench/bin
BENCH_STAMP := .venv-bench/.set-up
BENCH_FLAGS ?=
BENCH_INTACT = [ "$$(cat $(BENCH_STAMP) 2>/dev/null)" = "$$(pwd -P)" ] && $(BENCH_BIN)/python -c "" 2>/dev/null
BENCH_READY  = [ $(BENCH_STAMP) -nt pyproject.toml ] && [ $(BENCH_STAMP) -nt benchmarks/constraints.txt ] && $(BENCH_INTACT)

# Several targets in one call run in the order they are named, so that `clean` never meets a set-up.
.NOTPARALLEL:

help:
	@echo "make check   check every hand-written gradient of this repository"
	@echo "make test    lint, then run the tests"
	@echo "make lint    ruff, mypy and the laws on imports"
	@echo "make bench   run the benchmarks and write benchmarks/README.md"
	@echo "make faults  stop, starve and feed every command badly, and look for what it loses"
	@echo "make soak    run the checks for an hour, and look for false alarms, growth and hangs"
	@echo "make clean   remove the environments, build products and caches"

check: set-up
	@$(BIN)/gradlab check

test: lint
	$(BIN)/pytest

lint: set-up
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# An environment of its own, so that the peers it installs never touch what is developed and tested in .venv.
bench: bench-set-up
	@cd benchmarks && for script in $(BENCHMARKS); do ../$(BENCH_BIN)/python $$script.py $(BENCH_FLAGS) || exit; done
	@cd benchmarks && ../$(BENCH_BIN)/python page.py $(BENCH_FLAGS)

# Faults on purpose and files changed at random: some twenty minutes, apart from `bench`.
faults: bench-set-up
	@cd benchmarks && for script in faults fuzz; do ../$(BENCH_BIN)/python $$script.py $(BENCH_FLAGS) || exit; done
	@cd benchmarks && ../$(BENCH_BIN)/python page.py $(BENCH_FLAGS)

# Apart from `bench`, because it takes an hour; SOAK_FLAGS="--minutes 5", or --resume after an interrupt.
SOAK_FLAGS ?=
soak: bench-set-up
	@cd benchmarks && ../$(BENCH_BIN)/python soak.py $(SOAK_FLAGS) $(BENCH_FLAGS)
	@cd benchmarks && ../$(BENCH_BIN)/python page.py $(BENCH_FLAGS)

clean:
	rm -rf .venv .venv-bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

set-up:
	@$(READY) || { command -v "$(PYTHON)" >/dev/null || { echo "$$NO_PYTHON" >&2; exit 1; }; \
	    "$(PYTHON)" -c "$$UNDER_LOCK" sh -c "$$SET_UP"; }

bench-set-up:
	@$(BENCH_READY) || { command -v "$(PYTHON)" >/dev/null || { echo "$$NO_PYTHON" >&2; exit 1; }; \
	    "$(PYTHON)" -c "$$UNDER_LOCK" sh -c "$$BENCH_SET_UP"; }

define NO_PYTHON
gradlab needs Python 3.11 or newer, and $(PYTHON) was not found: install it, or name yours: make PYTHON=/path/to/python3
endef
export NO_PYTHON

define OLD_PYTHON
import platform, sys
if sys.version_info < (3, 11):
    sys.exit("gradlab needs Python 3.11 or newer, and $(PYTHON) is " + platform.python_version()
             + ": name a newer one: make PYTHON=/path/to/python3")
try:
    import ensurepip, venv
except ImportError:
    sys.exit("$(PYTHON) cannot make virtual environments, because its venv or ensurepip is missing:"
             " install them (on Debian and Ubuntu: apt install python3-venv)")
endef
export OLD_PYTHON

# Two calls of make at once must not build one .venv together. The kernel drops this lock when its holder dies, so none
# is ever left behind; the file that carries it is only a name.
define UNDER_LOCK
import fcntl, os, sys
lock = os.open("pyproject.toml", os.O_RDONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
os.set_inheritable(lock, True)
os.execvp(sys.argv[1], sys.argv[1:])
endef
export UNDER_LOCK

define SET_UP
set -e
if $(READY); then exit 0; fi
if $(INTACT); then :; else rm -rf .venv; fi
rm -f $(STAMP)
echo "Setting up .venv; the first time takes about a minute."
if command -v uv >/dev/null; then
    [ -d .venv ] || uv venv --quiet .venv
    uv pip install --quiet --python $(BIN)/python --editable ".[dev]"
else
    "$(PYTHON)" -c "$$OLD_PYTHON"
    [ -d .venv ] || "$(PYTHON)" -m venv .venv
    $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable ".[dev]"
fi
pwd -P > $(STAMP)
endef
export SET_UP

define BENCH_SET_UP
set -e
if $(BENCH_READY); then exit 0; fi
if $(BENCH_INTACT); then :; else rm -rf .venv-bench; fi
rm -f $(BENCH_STAMP)
echo "Setting up .venv-bench, with PyTorch in it; the first time takes some minutes."
if command -v uv >/dev/null; then
    [ -d .venv-bench ] || uv venv --quiet .venv-bench
    uv pip install --quiet --python $(BENCH_BIN)/python --constraint benchmarks/constraints.txt --editable ".[bench]"
else
    "$(PYTHON)" -c "$$OLD_PYTHON"
    [ -d .venv-bench ] || "$(PYTHON)" -m venv .venv-bench
    $(BENCH_BIN)/python -m pip install --quiet --quiet --disable-pip-version-check \
        --constraint benchmarks/constraints.txt --editable ".[bench]"
fi
pwd -P > $(BENCH_STAMP)
endef
export BENCH_SET_UP
