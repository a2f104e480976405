"""The functions that a gradient runs through: their source trees, and what their variables held when they ran."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradlab.frontends.copies import is_users

OWN = str(Path(__file__).parents[1])
FLAGS = 0x100000  # from __future__ import annotations, the only flag that code of today can carry
ENTRIES = 12  # so many entries of a tuple or a dict are looked at one by one


class Source:
    """One function: its code, its tree, and what could be read in it.

    shapes: of every array that can be read there, by the text that reads it. integers: variables that hold one.
    sequences: the texts of tuples and lists, shapes among them.
    lengths: the sizes of all axes. shared: the loss runs through it too. unit: arrays that lay within (-1, 1),
    positive: above 0, whenever they were seen.
    """

    def __init__(self, code: CodeType, tree: ast.FunctionDef) -> None:
        self.code, self.tree = code, tree
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.integers: set[str] = set()
        self.sequences: set[str] = set()
        self.unit: set[str] = set()
        self.positive: set[str] = set()
        self._met: dict[int, str] = {}
        self.lengths: set[int] = set()
        self.shared = False

    @cached_property
    def kinked(self) -> bool:
        """Whether the file has a function in it whose derivative is a comparison."""
        return any(word in "".join(linecache.getlines(self.code.co_filename)) for word in ("maximum", "> 0", "where"))

    @property
    def where(self) -> str:
        return Path(self.code.co_filename).name

    @cached_property
    def texts(self) -> list[tuple[str, CodeType]]:
        """What the source itself reads: names, fields and entries of fields, ready to be evaluated."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        found = dict.fromkeys(
            ast.unparse(node)
            for node in ast.walk(self.tree)
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))
            and (isinstance(node.ctx, ast.Load) or isinstance(node, ast.Name))
            and id(node) not in called
            and not any(isinstance(inner, ast.Call) for inner in ast.walk(node))
        )
        found |= dict.fromkeys(argument.arg for argument in ast.walk(self.tree) if isinstance(argument, ast.arg))
        return [(text, compile(text, "<read>", "eval")) for text in found]

    @cached_property
    def indices(self) -> list[str]:
        """The texts by which the source indexes with a variable, and the steps beside."""
        own = [
            ast.unparse(node.slice)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Subscript)
            and any(isinstance(inner, ast.Name) for inner in ast.walk(node.slice))
            and not any(isinstance(inner, (ast.Slice, ast.Tuple, ast.Subscript)) for inner in ast.walk(node.slice))
        ]
        beside = [f"{text} {step}" for text in own if text.isidentifier() for step in ("+ 1", "- 1")]
        return list(dict.fromkeys([*own, *beside]))

    @cached_property
    def indexed(self) -> set[str]:
        """The texts of what is indexed with a variable."""
        nodes = [node for node in ast.walk(self.tree) if isinstance(node, ast.Subscript)]
        return {ast.unparse(node.value) for node in nodes if ast.unparse(node.slice) in self.indices}

    def see(self, frame: FrameType) -> None:
        """Take down what can be read in a frame that is about to return."""
        for text, code in self.texts:
            try:
                value = eval(code, frame.f_globals, frame.f_locals)
            except Exception:  # noqa: BLE001  (a name that is not assigned, an index that is out of range)
                continue
            self._see(text, value)

    def _see(self, text: str, value: Any, depth: int = 2) -> None:
        if isinstance(value, (bool, np.bool_, str)) or value is None:
            return
        if isinstance(value, (tuple, list)):
            self.sequences.add(text)
        plain = isinstance(value, (int, float, np.generic, np.ndarray))
        if not plain and self._met.setdefault(id(value), text) != text:
            return  # the same container under another name
        if isinstance(value, (int, np.integer)):
            self.integers.add(text)
        elif isinstance(value, (np.ndarray, float, np.floating)):
            shape = np.shape(value)
            self._take(text, value)
            self.lengths.update(shape)
            if len(shape) > 2 or (len(shape) == 2 and text in self.indexed):
                self._entries(text, np.asarray(value)[0])
        elif depth and isinstance(value, (list, tuple, dict)) and len(value):
            if hasattr(value, "_fields"):
                for field in value._fields:
                    self._see(f"{text}.{field}", getattr(value, field), depth - 1)
                return
            keys = list(value) if isinstance(value, dict) else list(range(len(value)))
            self.lengths.add(len(value))
            whole = all(isinstance(key, (int, np.integer)) for key in keys)
            if isinstance(value, (list, dict)) and whole:
                self._entries(text, value[keys[-1]])
            elif len(keys) <= ENTRIES:
                for key in keys:
                    self._see(f"{text}[{key!r}]", value[key], depth - 1)
        elif depth and is_users(type(value).__module__) and hasattr(value, "__dict__"):
            for name, part in vars(value).items():
                self._see(f"{text}.{name}", part, depth - 1)

    def _entries(self, text: str, entry: Any) -> None:
        if isinstance(entry, (np.ndarray, np.floating)):
            for index in self.indices:
                self._take(f"{text}[{index}]", entry)

    def _take(self, text: str, value: Any) -> None:
        again = text in self.shapes
        self.shapes.setdefault(text, np.shape(value))
        for known, holds in ((self.unit, np.abs(value) < 1), (self.positive, np.asarray(value) > 0)):
            if not np.all(holds):
                known.discard(text)
            elif not again:
                known.add(text)

    def compiled(self) -> CodeType:
        """The code of the tree as it is now.

        Raises:
            SyntaxError: it is no Python. ValueError: it reads other variables of the function around it.
        """
        body: list[ast.stmt] = [self.tree]
        if self.code.co_freevars:
            names = [ast.Name(name, ast.Store()) for name in self.code.co_freevars]
            outer = ast.parse("def around(): pass").body[0]
            assert isinstance(outer, ast.FunctionDef)
            outer.body = [ast.Assign([name], ast.Constant(None)) for name in names]
            outer.body.append(self.tree)
            body = [ast.fix_missing_locations(outer)]
        flags = self.code.co_flags & FLAGS
        module = compile(ast.Module(body, []), self.code.co_filename, "exec", flags=flags, dont_inherit=True)
        made = next(code for code in _inner(module) if code.co_name == self.tree.name)
        if made.co_freevars != self.code.co_freevars:
            raise ValueError("a variable of the function around it")
        return made


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)


def sources(gradient: Callable[[], Any], loss: Callable[[], Any]) -> list[Source]:
    """The user's functions that gradient() runs through and whose source is at hand, those of its own first."""
    ran: dict[CodeType, Source | None] = {}

    def returned(frame: FrameType) -> None:
        code = frame.f_code
        if code not in ran:
            ran[code] = _source(code)
        source = ran[code]
        if source is not None:
            source.see(frame)

    with _profiled(returned):
        gradient()
    also: set[CodeType] = set()
    with _profiled(lambda frame: also.add(frame.f_code)):
        loss()
    nested = {inner for code in ran for inner in _inner(code)}
    found = [source for code, source in ran.items() if source is not None and code not in nested]
    for source in found:
        source.shared = source.code in also
    return sorted(found, key=lambda source: source.shared)


@contextmanager
def _profiled(returned: Callable[[FrameType], None]) -> Iterator[None]:
    """Hand over each of the user's frames when it returns."""

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        named = frame.f_code.co_name
        if event != "return" or (named.startswith("<") and named != "<lambda>"):
            return
        if is_users(frame.f_globals.get("__name__") or "__main__") and not frame.f_code.co_filename.startswith(OWN):
            sys.setprofile(None)
            returned(frame)
            sys.setprofile(profile)

    if sys.getprofile() is not None:  # somebody else's profiler is at work, and there can be only one
        yield
        return
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def _source(code: CodeType) -> Source | None:
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename))
    if code not in _codes(text, code.co_filename):
        return None  # none is at hand, or it has been edited since it was read
    for node in ast.walk(ast.parse(text)):
        tree = _function(node, code)
        if tree is not None:
            return Source(code, tree)
    return None


@lru_cache(maxsize=8)
def _codes(text: str, file: str) -> frozenset[CodeType]:
    """The code of every function in a file, compiled as a module, and statement by statement as a notebook's cell is.

    The two differ: how a module's function is called depends on whether it is imported beside the caller.
    """
    try:
        whole = ast.parse(text)
        alone = [ast.Module([statement], []) for statement in whole.body]
        return frozenset(
            code for module in (whole, *alone) for code in _inner(compile(module, file, "exec", dont_inherit=True))
        )
    except (SyntaxError, ValueError):
        return frozenset()


def _function(node: ast.AST, code: CodeType) -> ast.FunctionDef | None:
    """The node as a function without decorators, if the code may be its."""
    if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        node.decorator_list = []
        return node if first == code.co_firstlineno else None
    if isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
        function = ast.parse("def chosen(): pass").body[0]
        assert isinstance(function, ast.FunctionDef)
        function.args = node.args
        function.body = [ast.copy_location(ast.Return(node.body), node.body)]
        return ast.copy_location(function, node)
    return None
