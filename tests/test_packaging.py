"""What a user gets: the wheel is built, installed in an environment of its own, and used from there."""

import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that has gradlab from the wheel, and borrows only what gradlab depends on."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    places = {"base": str(folder), "platbase": str(folder)}
    scripts = Path(sysconfig.get_path("scripts", "venv", places))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", scripts / "python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    # A folder named in a .pth file has its own .pth files ignored: the editable gradlab of this environment stays out.
    borrowed = Path(sysconfig.get_path("purelib", "venv", places)) / "borrowed.pth"
    borrowed.write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n", encoding="utf-8")
    return scripts


def test_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    in_tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gradlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    } | {f"gradlab/derivations/{path.name}" for path in (ROOT / "derivations").iterdir()}
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert "gradlab/py.typed" in in_wheel
    assert in_wheel == in_tree


def test_installed_command_answers(scripts: Path, tmp_path: Path) -> None:
    help_text = run(scripts / "gradlab", "--help", cwd=tmp_path)
    assert "check" in help_text


def test_installed_package_is_the_wheel(scripts: Path, tmp_path: Path) -> None:
    snippet = "import gradlab, importlib.metadata as m; print(gradlab.__file__); print(m.version('gradlab'))"
    file, version = run(scripts / "python", "-c", snippet, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(scripts.parent)
    assert version == VERSION
