"""A training run on disk: an .npz without pickle, replaced as a whole or not at all, refused if anything is amiss.

    format     the version of this layout
    settings   the `Settings`, as JSON (a string)
    step       steps done
    params/…   the weights, one array for each field of the cell's `Params`
    curve      the learning curve, (N, 5), a `Point` in each row

All randomness is a function of the settings' seed and the step, so this is everything to go on with.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tokenize
import warnings
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from gradlab import cells
from gradlab.addition.data import Array, network_sizes
from gradlab.addition.run import Point, Run, Settings
from gradlab.files import read_bytes, write_bytes
from gradlab.problem import axes

FORMAT = 1
MAX_BYTES = 2**27
LONGEST = MAX_BYTES + 2**20  # of the file: the arrays, and what the zip needs beside them
MAX_ARRAYS = 64
BAD_ZIP = (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, IndexError, struct.error)
BAD_ARRAY = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    EOFError,
    OverflowError,
    MemoryError,
    RecursionError,
    UserWarning,
    tokenize.TokenError,
)


class RunFileError(ValueError):
    """A file that holds no run: the message, one line, names the file and the defect."""


def save(run: Run, path: str | os.PathLike[str]) -> None:
    """Write a run to `path`. Whoever reads it, whenever this is killed, finds the old file or the new one whole.

    Raises:
        RunFileError: a weight is not finite: no run goes on from there.
        FileError: it cannot be written.
    """
    step, params = run.at
    for name, array in params._asdict().items():
        if not np.isfinite(array).all():
            raise RunFileError(f"{path}: not written, {name} is not finite")
    curve = np.array([point for point in run.curve if point.step <= step], dtype=np.float64)
    arrays = {f"params/{name}": array for name, array in params._asdict().items()}
    arrays |= {"format": np.array(FORMAT), "settings": np.array(json.dumps(asdict(run.settings)))}
    arrays |= {"step": np.array(step), "curve": curve.reshape(-1, len(Point._fields))}
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_bytes(Path(path), content.getvalue())


def load(path: str | os.PathLike[str]) -> Run:
    """The run that `save` wrote to `path`, to the last bit. Nothing in the file is executed or trusted.

    Raises:
        RunFileError: there is no such file, or it is not a run that can go on; said in one line.
    """
    try:
        arrays = _read(path)
        if "format" not in arrays or arrays["format"].shape != () or arrays["format"].dtype.kind != "i":
            raise RunFileError(f"{path}: no format version: this is not a saved run")
        if arrays["format"] != FORMAT:
            raise RunFileError(f"{path}: format version {arrays['format']}, this gradlab reads {FORMAT}")
        settings = _settings(path, arrays)
        step = int(_array(path, arrays, "step", np.dtype(np.int64), ()))
        if not 0 <= step <= 10**12:
            raise RunFileError(f"{path}: step = {step}: wanted 0 to 10¹²")
        return Run(settings, (step, _params(path, arrays, settings)), _curve(path, arrays, step))
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise RunFileError(f"{path}: {why}") from None


def _read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Every array of the zip by its name, each bounded in size before it is unpacked."""
    arrays: dict[str, Array] = {}
    try:
        content = read_bytes(Path(path), LONGEST + 1)
        if len(content) > LONGEST:
            raise RunFileError(f"{path}: is longer than {LONGEST} bytes, which no saved run is")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            total, count = sum(info.file_size for info in archive.infolist()), len(archive.infolist())
            if total > MAX_BYTES or count > MAX_ARRAYS:
                limits = f"wanted at most {MAX_BYTES} in {MAX_ARRAYS}"
                raise RunFileError(f"{path}: unpacks to {total} bytes in {count} arrays, {limits}")
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if info.compress_type != zipfile.ZIP_STORED:
                    raise RunFileError(f"{path}: {name} is compressed: a saved run is not")
                if name in arrays:
                    raise RunFileError(f"{path}: {name} stands twice")
                with archive.open(info) as member:
                    arrays[name] = _decoded(path, name, member.read(info.file_size + 1))
    except RunFileError:
        raise
    except BAD_ZIP as error:
        raise RunFileError(f"{path}: damaged, or not an .npz file: {_one_line(error)}") from None
    return arrays


def _decoded(path: Any, name: str, raw: bytes) -> Array:
    """One array from its .npy bytes; its header must ask for exactly the bytes that follow it."""
    stream = io.BytesIO(raw)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise RunFileError(f"{path}: {name} is not in .npy format 1.0")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.hasobject:
            raise RunFileError(f"{path}: {name} holds pickled objects, which are never loaded")
        size = dtype.itemsize
        for length in shape:
            size *= length
        if size != len(raw) - stream.tell():
            raise RunFileError(f"{path}: {name} has {len(raw) - stream.tell()} bytes, its header says {size}")
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    except RunFileError:
        raise
    except BAD_ARRAY as error:
        raise RunFileError(f"{path}: {name} is not an array: {_one_line(error)}") from None


def _array(path: Any, arrays: dict[str, Array], name: str, dtype: Any, shape: tuple[int | None, ...]) -> Array:
    """One array, held to a dtype and a shape (None: any length)."""
    if name not in arrays:
        raise RunFileError(f"{path}: {name} is missing")
    array = arrays[name]
    if array.dtype != dtype:
        raise RunFileError(f"{path}: {name} has dtype {array.dtype}, wanted {dtype}")
    if array.ndim != len(shape) or any(n is not None and n != size for n, size in zip(shape, array.shape, strict=True)):
        wanted = tuple("any" if n is None else n for n in shape)
        raise RunFileError(f"{path}: {name} has shape {array.shape}, wanted {wanted}".replace("'", ""))
    return array


def _settings(path: Any, arrays: dict[str, Array]) -> Settings:
    text = arrays.get("settings")
    if text is None or text.shape != () or text.dtype.kind != "U":
        raise RunFileError(f"{path}: settings are {'missing' if text is None else 'not a string'}")
    try:
        given = json.loads(str(text))
        known = {field.name for field in fields(Settings)}
        if not isinstance(given, dict) or set(given) != known:
            raise ValueError(f"wanted exactly {', '.join(sorted(known))}")
        return Settings(**given)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunFileError(f"{path}: settings cannot be read: {_one_line(error)}") from None


def _params(path: Any, arrays: dict[str, Array], settings: Settings) -> Any:
    """The weights, checked against the cell's own shapes; no array of the file may be left over."""
    record = cells.cell(settings.cell).module.Params
    sizes, found = network_sizes(settings.hidden), {}
    for name, letters in axes(record).items():
        key = f"params/{name}"
        found[name] = _array(path, arrays, key, np.dtype(np.float64), tuple(sizes.get(letter) for letter in letters))
        if not np.isfinite(found[name]).all():
            wrong = found[name][~np.isfinite(found[name])][0]
            raise RunFileError(f"{path}: {key} holds {wrong}, wanted finite weights")
    unknown = set(arrays) - {"format", "settings", "step", "curve"} - {f"params/{name}" for name in found}
    if unknown:
        raise RunFileError(f"{path}: {min(unknown)} is no part of a saved {settings.cell} run")
    return record(**found)


def _curve(path: Any, arrays: dict[str, Array], step: int) -> list[Point]:
    curve = _array(path, arrays, "curve", np.dtype(np.float64), (None, len(Point._fields)))
    steps, fractions = curve[:, 0], curve[:, 2:]
    fine = np.isfinite(curve[:, :4]).all() and ((steps % 1 == 0) & (steps >= 0) & (steps <= step)).all()
    fine = fine and (np.diff(steps) > 0).all() and (curve[:, 1] >= 0).all()
    if not (fine and ((fractions >= 0) & (fractions <= 1) | np.isnan(fractions)).all()):
        raise RunFileError(f"{path}: the curve is not one: wanted rising steps up to {step} and fractions in [0, 1]")
    return [Point(int(row[0]), *row[1:].tolist()) for row in curve]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error.args[0] if error.args else error).split()) or type(error).__name__
