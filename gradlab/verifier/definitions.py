"""What `left := right` adds to the symbols of a document."""

from __future__ import annotations

from typing import Any

from gradlab.verifier.meaning import Resolver
from gradlab.verifier.scope import Symbol, canonical
from gradlab.verifier.shapes import Shape, Trouble
from gradlab.verifier.terms import Name, Time, letters, walk


def define(resolver: Resolver, left: Any, right: Any) -> Symbol:
    """Add the definition `left := right` to the scope, and return its symbol.

    Raises:
        Trouble: the left side is no new symbol, or the right side has no meaning or no shape.
    """
    scope, at = resolver.scope, resolver.at(left)
    if left.data not in ("symbol", "call") or (left.data == "call" and len(left.children) == 3):
        raise Trouble("syntax", "the left side of := is no symbol: wanted one such as net or net(t)", at)
    token = left.children[0]
    name, inside = canonical(token, at)
    name = scope.aliases.get(name, name)
    if name in ("t", "T"):
        raise Trouble("syntax", f"{name} is the time and cannot be defined", at)
    time = resolver.time(left.children[-1]) if left.data == "call" else inside
    if left.data == "call" and time is None:
        return _define_function(resolver, name, left, right)
    if time is not None and time != Time.of("t"):
        raise Trouble("syntax", f"a definition holds at every t: write {token}(t) on the left side", at)
    known = scope.symbols.get(name)
    if known is not None and (known.body is not None or not known.timed or known.at_steps):
        how = "defined" if known.body is not None else "declared"
        raise Trouble("syntax", f"{token} is already {how}: one symbol means one thing", at)
    body = resolver.term(right)
    shape = resolver.shape(body)
    free = "t" in letters(body)
    timed = time is not None or (free and scope.default_time is not None)
    if free and not timed:
        raise Trouble("undefined", f"{token} depends on t: write {token}(t) on the left side", at)
    if known is not None and (known.shape.dims != shape.dims or not timed):
        raise Trouble("shape", f"{token} is declared as {known.shape} and defined as {shape}", at)
    kind = "derivative" if any(resolver.is_derived(part) for part in walk(body)) else "forward"
    symbol = Symbol(name, str(token).strip(), shape, kind, timed, known.before if known else set(), body)
    symbol.space = known.space if known else ()
    scope.symbols[name] = symbol
    return symbol


def _define_function(resolver: Resolver, name: str, left: Any, right: Any) -> Symbol:
    scope, at, inner = resolver.scope, resolver.at(left), left.children[-1]
    while inner.data == "group":
        inner = inner.children[0]
    if inner.data != "symbol" or name in scope.symbols:
        raise Trouble(
            "syntax", f"{left.children[0]} cannot be defined so: wanted a new name of t or of a free letter", at
        )
    parameter = f"({canonical(inner.children[0], at)[0]})"  # no document can spell it, so nothing else has this name
    resolver.bound[parameter.strip("()")] = Name(parameter)
    body = resolver.term(right)
    for part in walk(body):
        if isinstance(part, Name) and part.name != parameter:
            raise Trouble("undefined", f"a function of its argument alone: {part.text} cannot stand in it", part.at)
    symbol = Symbol(name, str(left.children[0]).strip(), Shape(()), "function", body=body, parameter=parameter)
    scope.symbols[name] = symbol
    return symbol
