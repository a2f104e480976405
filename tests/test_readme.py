"""What the README shows is what its commands print today, but for figures that differ from machine to machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shown(text: str) -> list[tuple[str, str]]:
    """(command, output) of every `$ command` in the console blocks."""
    found = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = command[:-1] + more.strip()
            found.append((command, output.rstrip()))
    return found


def comparable(output: str) -> str:
    """Without what rounding and the clock change: decimals, counts of entries, widths of columns."""
    output = re.sub(r"^gradlab: here nothing keeps .*\n?", "", output, flags=re.MULTILINE)  # in a plain container
    output = re.sub(r"\d+\.\d+(e[+-]?\d+)?|\d+e[+-]\d+|[\d,]+(?= (entries|more|ms))", "#", output)
    output = re.sub(r"^.*cannot tell # entries.*\n", "", output, flags=re.MULTILINE)
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in output.strip().splitlines())


README = shown((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a fresh clone's, in which the commands run one after another."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("gradlab", "derivations", "examples"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_readme_shows_commands() -> None:
    assert len([command for command, _ in README if command.startswith("gradlab")]) >= 4


@pytest.mark.parametrize(("command", "output"), README, ids=[command[:60] for command, _ in README])
def test_a_command_prints_what_the_readme_shows(command: str, output: str, folder: Path) -> None:
    path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert comparable(done.stdout + done.stderr) == comparable(output)


def test_a_readme_that_shows_something_else_is_caught() -> None:
    assert comparable("agree   106 problems, 3.1 s") == comparable("agree   106 problems, 4.5 s")
    assert comparable("agree   106 problems") != comparable("disagree   106 problems")
    assert comparable("at t = 0 of 0..2") != comparable("at t = 1 of 0..2")
