r"""The front matter of a derivation: sizes, steps, symbols, aliases, the cell it is bound to.

sizes: {I: 2, H: 4, O: 3}      distinct and over 1: equal sizes hide a missing transpose; where they are declared, so
                               must be every symbol that is not defined
fixed: {O: 1, T: 5}            sizes, and a number of steps, that the derivation needs as they are
steps: 5                       at least 4: fewer hide a missing recursion
symbols: {x(t): 1 x I}         what takes random values; a(-1) is a state before step 0
aliases: {E: l}                a second spelling of a symbol
cell: rnn                      the hand-written cell whose forward the definitions are held against
default_time: t                a bare indexed name is its value at t
conventions: {partial: immediate, layout: numerator, product: matrix}   what the document leaves unsaid
assume: '$W \in \mathbb{R}^{h \times d}$'                               mathematics that is read before the document

Where no sizes are declared, `symbols` may say `H x I` of any letters, `scalar`, `one-hot`, `probabilities` or
`positive`.
All keys may stand under `gradlab:`; keys that belong to others (`title:`) are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gradlab.verifier.document import Document, Problem
from gradlab.verifier.scope import Scope, Symbol, canonical, nearest
from gradlab.verifier.shapes import Shape, Trouble
from gradlab.verifier.terms import Time

LARGEST_SIZE = 32
MOST_STEPS = 32
LONGEST = 20_000
KEYS = ("sizes", "fixed", "steps", "symbols", "aliases", "cell", "default_time", "conventions", "assume")
CONVENTIONS = {
    "partial": ("total", "immediate"),
    "layout": ("shape", "numerator", "denominator"),
    "product": ("elementwise", "matrix"),
}
VALUES = ("one-hot", "probabilities", "positive")

_SYMBOL = re.compile(r"(.*?)(?:\(\s*(t|-\s*\d+)\s*\))?", re.DOTALL)
_SHAPE = re.compile(r"(\w+)\s*[x×]\s*(\w+)")
_RESERVED = ("t", "T")


def declared(document: Document) -> tuple[Scope, list[Problem]]:
    """What the front matter declares, and what is wrong with it, each with its line and column."""
    scope, problems = Scope(strict=False), list[Problem]()
    for key, node, trouble in _entries(document, problems):
        if key == "sizes":
            scope.strict = True
        if key in _READERS:
            _READERS[key](scope, node, trouble)
    return scope, problems


def _entries(document: Document, problems: list[Problem]) -> Iterator[tuple[str, Any, Callable[[str, Any], None]]]:
    """The top-level entries of the YAML in the order in which they must be read, and a way to complain at a node."""
    import yaml

    source, offset = document.front_source, document.front_offset
    if document.front is None or source is None:
        return

    def complain(index: int, message: str, kind: str = "syntax") -> None:
        problems.append(Problem(source.place(offset + index), kind, f"front matter: {message}"))

    if len(document.front) > LONGEST:
        return complain(0, f"{len(document.front):,} characters long; at most {LONGEST:,} are read")
    try:
        root = yaml.compose(document.front, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return complain(mark.index if mark else 0, f"not YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        return complain(error.position, f"not YAML: character U+{error.character:04X} is not allowed")
    except (RecursionError, yaml.YAMLError) as error:
        return complain(0, f"not YAML: {error}")
    if not isinstance(root, yaml.MappingNode):
        return complain(0, f"wanted a mapping with the keys {', '.join(KEYS)}")
    found: dict[str, Any] = {}
    entries, own = root.value, False
    for key, value in root.value:
        if key.value == "gradlab" and value.id == "mapping":
            entries, own = value.value, True
    for key, value in entries:
        if key.value not in KEYS:
            near = nearest(str(key.value), KEYS, 0.6 if own else 0.8)
            if not near and not own:
                continue
            hint = f"did you mean {near}?" if near else f"wanted one of {', '.join(KEYS)}"
            complain(key.start_mark.index, f"unknown key {key.value!s:.40}; {hint}")
        elif key.value in found:
            complain(key.start_mark.index, f"the key {key.value} stands twice")
        else:
            found[key.value] = value
    for key in KEYS:
        if key in found:
            yield key, found[key], lambda message, node: complain(node.start_mark.index, message)


def _read_sizes(scope: Scope, node: Any, complain: Callable[[str, Any], None], fixed: bool = False) -> None:
    for key, value in _pairs(node, complain):
        size = _whole(value)
        same = [name for name, other in scope.sizes.items() if other == size]
        if not re.fullmatch(r"[A-Za-z]", key.value) or key.value in _RESERVED:
            complain(f"a size is named by one letter other than t and T, not {key.value!s:.40}", key)
        elif key.value in scope.sizes:
            complain(f"the size {key.value} is declared twice", key)
        elif size is None or not 1 <= size <= LARGEST_SIZE:
            complain(f"the size {key.value} must be a whole number from 1 to {LARGEST_SIZE}", value)
        elif size == 1 and not fixed:
            complain(
                f"the size {key.value} is 1, which hides transposes: make it larger, or put it under `fixed:`", value
            )
        elif same and not fixed:
            message = f"the sizes {same[0]} and {key.value} are both {size}, which hides transposes: make them distinct"
            complain(message, value)
        else:
            scope.sizes[key.value] = size
            scope.fixed |= {key.value} if fixed else set()


def _read_fixed(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    steps = [pair for pair in getattr(node, "value", ()) if pair[0].value == "T"] if node.id == "mapping" else []
    for pair in steps:
        node.value.remove(pair)
        _read_steps(scope, pair[1], complain)
        scope.fixed.add("T")
    _read_sizes(scope, node, complain, fixed=True)


def _read_steps(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    steps = _whole(node)
    if steps is None or not 4 <= steps <= MOST_STEPS:
        complain(f"steps must be a whole number from 4 to {MOST_STEPS}: fewer hide a missing recursion", node)
    else:
        scope.steps = steps


def _read_symbols(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    for key, value in _pairs(node, complain):
        if not scope.strict:
            _assume(scope, key, value, complain)
            continue
        match = _SHAPE.fullmatch(value.value.strip())
        scope.assumed.append((key.value.strip(), (match[1], match[2]) if match else (), ""))
        try:
            spelling, when = _spelled(key)
            name, _ = canonical(spelling)
            if name in _RESERVED:
                raise Trouble("syntax", f"{name} is the time and cannot be a symbol")
            shape, space = _shape(scope, value)
            _declare(scope, name, spelling, when, shape)
            scope.symbols[name].space = space
        except Trouble as trouble:
            complain(trouble.message, key)


def _assume(scope: Scope, key: Any, value: Any, complain: Callable[[str, Any], None]) -> None:
    """Keep what is said of a symbol until the document's letters are known, which tell how it is spelled."""
    text = value.value.strip()
    match = _SHAPE.fullmatch(text)
    if match is None and text not in (*VALUES, "scalar"):
        complain(f"{text:.40} cannot be read: wanted `H x I`, `scalar`, {', '.join(VALUES)}", value)
        return
    sizes = (match[1], match[2]) if match else () if text == "scalar" else None
    scope.assumed.append((key.value.strip(), sizes, text if text in VALUES else ""))


def _read_conventions(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    for key, value in _pairs(node, complain):
        if key.value not in CONVENTIONS:
            complain(f"no convention is called {key.value!s:.40}; there are {', '.join(CONVENTIONS)}", key)
        elif value.value not in CONVENTIONS[key.value]:
            complain(f"{key.value} is {' or '.join(CONVENTIONS[key.value])}, not {value.value!s:.40}", value)
        else:
            setattr(scope, key.value, value.value)
            scope.conventions.add(key.value)


def _read_assume(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    lines = node.value if node.id == "sequence" else [node]
    if any(line.id != "scalar" for line in lines):
        complain("wanted mathematics as text, such as '$y = W x$'", node)
        return
    for line in lines:
        for text in line.value.splitlines():
            if text.strip(" $"):
                scope.assumptions.append((text.strip(" $"), line.start_mark.index))


def _declare(scope: Scope, name: str, spelling: str, when: str | None, shape: Shape) -> None:
    symbol = scope.symbols.get(name)
    if symbol is None:
        symbol = scope.symbols[name] = Symbol(
            name, spelling, shape, timed=when is not None, at_steps=when in (None, "t")
        )
    elif symbol.shape != shape:
        raise Trouble("shape", f"{spelling} is {shape} here and {symbol.shape} above")
    elif not symbol.timed or when is None or (when == "t" and symbol.at_steps):
        raise Trouble("syntax", f"{spelling} is declared twice")
    if when == "t":
        symbol.at_steps = True
    elif when is not None:
        symbol.before.add(int(when.replace(" ", "")))


def _read_aliases(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    for key, value in _pairs(node, complain):
        try:
            alias, target = canonical(str(key.value))[0], canonical(str(value.value))[0]
            if alias in scope.symbols or alias in _RESERVED:
                raise Trouble("syntax", f"{key.value} is a symbol already and cannot be an alias too")
            scope.aliases[alias] = target
        except Trouble as trouble:
            complain(trouble.message, key)


def _read_cell(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    from gradlab.cells import CELLS

    if node.id != "scalar" or node.value not in CELLS:
        complain(f"no cell is called {node.value!s:.40}; there are {', '.join(CELLS)}", node)
    else:
        scope.cell = node.value


def _read_default_time(scope: Scope, node: Any, complain: Callable[[str, Any], None]) -> None:
    if node.value != "t":
        complain("default_time can only be t", node)
    else:
        scope.default_time = Time.of("t")


def _pairs(node: Any, complain: Callable[[str, Any], None]) -> Iterator[tuple[Any, Any]]:
    if node.id != "mapping":
        return complain("wanted a mapping, such as {H: 4}", node)
    for key, value in node.value:
        if key.id == "scalar" and value.id == "scalar":
            yield key, value
        else:
            complain("wanted a plain name and a plain value", key)


def _spelled(key: Any) -> tuple[str, str | None]:
    match = _SYMBOL.fullmatch(key.value.strip())
    return (match[1], match[2]) if match else (key.value, None)


def _shape(scope: Scope, node: Any) -> tuple[Shape, tuple[str, ...]]:
    if node.value.strip() == "scalar":
        return Shape(()), ()
    match = _SHAPE.fullmatch(node.value.strip())
    if match is None:
        raise Trouble("syntax", f"the shape {node.value!s:.40} cannot be read: wanted `1 x H`, `I x H` or `scalar`")
    return Shape((_size(scope, match[1]), _size(scope, match[2]))), (match[1], match[2])


def _size(scope: Scope, word: str) -> int:
    size = int(word) if word.isascii() and word.isdigit() and len(word) < 4 else scope.sizes.get(word, 0)
    if not 1 <= size <= LARGEST_SIZE:
        raise Trouble("undefined", f"no size is called {word:.40}; there are {', '.join(scope.sizes) or 'none'}")
    return size


def _whole(node: Any) -> int | None:
    text = node.value if node.id == "scalar" else ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


_READERS: dict[str, Callable[[Scope, Any, Callable[[str, Any], None]], None]] = {
    "sizes": _read_sizes,
    "fixed": _read_fixed,
    "steps": _read_steps,
    "symbols": _read_symbols,
    "aliases": _read_aliases,
    "cell": _read_cell,
    "default_time": _read_default_time,
    "conventions": _read_conventions,
    "assume": _read_assume,
}
