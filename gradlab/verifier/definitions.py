"""What `left := right` adds to the symbols of a strict document."""

from __future__ import annotations

from gradlab.verifier.meaning import Resolver
from gradlab.verifier.parser import Node
from gradlab.verifier.scope import Symbol
from gradlab.verifier.shapes import Shape, Trouble
from gradlab.verifier.survey import base_of
from gradlab.verifier.terms import Name, Time, letters, walk


def define(resolver: Resolver, left: Node, right: Node) -> Symbol:
    """Add the definition `left := right` to the scope, and return its symbol.

    Raises:
        Trouble: the left side is no new symbol, or the right side has no meaning or no shape.
    """
    scope, at = resolver.scope, left.at
    head = left.children[0] if left.kind == "call" else left
    if not base_of(left) or head.kind == "call" or head.kind not in ("name", "scripts"):
        raise Trouble("syntax", "the left side of := is no symbol: wanted one such as net or net(t)", at)
    named = resolver.named(head)
    if named.after or named.primes or (left.kind == "call" and len(left.children) != 2):
        raise Trouble("syntax", "the left side of := is no symbol: wanted one such as net or net(t)", at)
    spelled = resolver.spelled(head)
    name = scope.aliases.get(named.name, named.name)
    if name in ("t", "T"):
        raise Trouble("syntax", f"{name} is the time and cannot be defined", at)
    time = resolver.time(left.children[1]) if left.kind == "call" else named.time
    if left.kind == "call" and time is None:
        return _define_function(resolver, name, left, right)
    if time is not None and time != Time.of("t"):
        raise Trouble("syntax", f"a definition holds at every t: write {spelled}(t) on the left side", at)
    known = scope.symbols.get(name)
    if known is not None and (known.body is not None or not known.timed or known.at_steps):
        how = "defined" if known.body is not None else "declared"
        raise Trouble("syntax", f"{spelled} is already {how}: one symbol means one thing", at)
    body = resolver.term(right)
    shape = resolver.shape(body)
    free = "t" in letters(body)
    timed = time is not None or (free and scope.default_time is not None)
    if free and not timed:
        raise Trouble("undefined", f"{spelled} depends on t: write {spelled}(t) on the left side", at)
    if known is not None and (known.shape.dims != shape.dims or not timed):
        raise Trouble("shape", f"{spelled} is declared as {known.shape} and defined as {shape}", at)
    kind = "derivative" if any(resolver.is_derived(part) for part in walk(body)) else "forward"
    symbol = Symbol(name, spelled, shape, kind, timed, known.before if known else set(), body)
    symbol.space = known.space if known else ()
    scope.symbols[name] = symbol
    return symbol


def _define_function(resolver: Resolver, name: str, left: Node, right: Node) -> Symbol:
    scope, at, inner = resolver.scope, left.at, left.children[-1]
    while inner.kind == "group":
        inner = inner.children[0]
    spelled = resolver.spelled(left.children[0])
    if inner.kind not in ("name", "scripts") or name in scope.symbols:
        raise Trouble("syntax", f"{spelled} cannot be defined so: wanted a new name of t or of a free letter", at)
    argument = resolver.named(inner).name
    parameter = f"({argument})"  # no document can spell it, so nothing else has this name
    resolver.bound[argument] = Name(parameter)
    body = resolver.term(right)
    for part in walk(body):
        if isinstance(part, Name) and part.name != parameter:
            raise Trouble("undefined", f"a function of its argument alone: {part.text} cannot stand in it", part.at)
    symbol = Symbol(name, spelled, Shape(()), "function", body=body, parameter=parameter)
    scope.symbols[name] = symbol
    return symbol
