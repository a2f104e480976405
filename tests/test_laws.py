"""The laws on imports, tested from both sides: what the linter's contracts refuse, and what Python really loads."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]

LAYERED_MODULES = [name for c in CONTRACTS for layer in c.get("layers", []) for name in re.findall(r"\w+", layer)]

INDEPENDENCE = "manual, reference, tape and arithmetic import none of each other"
CIRCLES = "no circle of imports among the files of a package"
TOP = "nothing imports cli or pytest_plugin"
LAYERS = "no circle of imports: each layer imports only what lies below it"
JAX = "jax is imported in reference only"
FLINT = "flint is imported in arithmetic only"
MATPLOTLIB = "matplotlib is imported in figures only"
HYPOTHESIS = "hypothesis is imported in strategies, checker and pytest_plugin only"

# Contract, the module of gradlab that breaks it, and the import that does.
VIOLATIONS = [
    (INDEPENDENCE, "manual", "import gradlab.reference"),
    (INDEPENDENCE, "reference", "from gradlab.manual import rnn"),
    (INDEPENDENCE, "arithmetic", "from gradlab import manual"),
    (INDEPENDENCE, "tape", "from gradlab.arithmetic import balls"),
    (CIRCLES, "checker/verdict", "def shown():\n    from gradlab.checker import report"),
    (CIRCLES, "mistakes/tables", "from gradlab.mistakes import score"),
    (TOP, "__init__", "from gradlab import cli"),
    (TOP, "cli", "import gradlab.pytest_plugin"),
    (TOP, "checker", "import gradlab.cli"),
    (LAYERS, "problem", "import gradlab.cells"),
    (LAYERS, "equations", "import gradlab.problem"),
    (LAYERS, "frontends", "import gradlab.cells"),
    (LAYERS, "cells", "import gradlab.oracles"),
    (LAYERS, "oracles", "import gradlab.addition"),
    (LAYERS, "addition", "import gradlab.strategies"),
    (LAYERS, "strategies", "import gradlab.checker"),
    (LAYERS, "checker", "import gradlab.mistakes"),
    (LAYERS, "mistakes", "import gradlab.verifier"),
    (LAYERS, "verifier", "import gradlab.figures"),
    (LAYERS, "a_module_in_no_layer", ""),
    (JAX, "manual", "import jax.numpy as jnp"),
    (JAX, "oracles", "def grad():\n    import jax"),
    (JAX, "cells", "import jaxlib"),
    (FLINT, "oracles", "from flint import arb"),
    (MATPLOTLIB, "cli", "def draw():\n    from matplotlib import pyplot"),
    (HYPOTHESIS, "oracles", "import hypothesis"),
    (HYPOTHESIS, "__init__", "from hypothesis import strategies"),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [SCRIPTS / "lint-imports", "--no-logo", "--no-cache"]
    plain = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)


def outcomes(output: str) -> dict[str, str]:
    """What became of each contract, by its name; long names are wrapped in the linter's output."""
    flat = " ".join(output.split())
    found = {c["name"]: re.search(re.escape(c["name"]) + " (KEPT|BROKEN)", flat) for c in CONTRACTS}
    return {name: match[1] for name, match in found.items() if match}


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    """A folder with the configuration and a copy of the package, whose imports may be spoiled."""
    package = tmp_path / "gradlab"
    shutil.copytree(ROOT / "gradlab", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    # A linter takes the import of a module that is not there for none at all, so each named module has to be there.
    for module in LAYERED_MODULES:
        if not (package / module / "__init__.py").exists():
            (package / f"{module}.py").touch()
    return tmp_path


def plant(folder: Path, module: str, line: str) -> None:
    package = folder / "gradlab" / module
    file = package / "planted.py" if (package / "__init__.py").exists() else package.with_suffix(".py")
    with file.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")


def test_package_as_it_is_keeps_every_contract(copied_package: Path) -> None:
    done = lint_imports(copied_package)
    assert outcomes(done.stdout) == {c["name"]: "KEPT" for c in CONTRACTS}, done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize(("contract", "module", "line"), VIOLATIONS)
def test_forbidden_import_breaks_its_contract(copied_package: Path, contract: str, module: str, line: str) -> None:
    plant(copied_package, module, line)
    done = lint_imports(copied_package)
    assert outcomes(done.stdout).get(contract) == "BROKEN", done.stdout + done.stderr
    assert done.returncode == 1


def test_every_contract_has_a_violation() -> None:
    assert {contract for contract, _, _ in VIOLATIONS} == {c["name"] for c in CONTRACTS}


def packages_loaded_by(code: str, *arguments: str | Path) -> set[str]:
    """Top-level names of the modules in a fresh interpreter that has run the code."""
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    command = [sys.executable, "-c", f"{report}\n{code}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stderr.split()}


RUN_SCRIPT = "import runpy; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["import gradlab"], id="import gradlab"),
        pytest.param([RUN_SCRIPT, SCRIPTS / "gradlab", "--help"], id="gradlab --help"),
    ],
)
def test_heavy_libraries_wait_until_they_are_needed(command: list[str]) -> None:
    loaded = packages_loaded_by(*command)
    assert "gradlab" in loaded
    assert not loaded & {"jax", "jaxlib", "flint", "matplotlib", "hypothesis"}


@pytest.mark.parametrize("library", ["jax", "flint", "matplotlib", "hypothesis"])
def test_a_loaded_library_is_seen(library: str) -> None:
    assert library in packages_loaded_by(f"import {library}")


HAND_WRITTEN = sorted(path.stem for path in (ROOT / "gradlab" / "manual").glob("[a-z]*.py"))


@pytest.mark.parametrize("module", HAND_WRITTEN)
def test_hand_written_passes_load_numpy_alone(module: str) -> None:
    at_start = packages_loaded_by("")
    loaded = packages_loaded_by(f"import gradlab.manual.{module}")
    assert "gradlab" in loaded
    assert loaded - at_start - sys.stdlib_module_names <= {"gradlab", "numpy"}
