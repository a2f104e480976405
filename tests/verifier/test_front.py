import pytest

from gradlab.verifier.document import read_text
from gradlab.verifier.front import declared


def problems(front: str) -> list[str]:
    found = declared(read_text(f"---\n{front}\n---\n"))[1]
    return [f"{problem.place}: {problem.message}" for problem in found]


def test_reads_every_key() -> None:
    scope, found = declared(
        read_text(
            "---\nsizes: {I: 2, H: 4}\nfixed: {O: 1}\nsteps: 6\nsymbols:\n  x(t): 1 x I\n"
            "  W_{a}: I × H\n  h(-1): 1 x H\n"
            "  r: scalar\n  u: 3 x 1\naliases: {E: l}\ncell: rnn\ndefault_time: t\n---\n"
        )
    )
    assert found == []
    assert scope.sizes == {"I": 2, "H": 4, "O": 1}
    assert (scope.steps, scope.cell, str(scope.default_time)) == (6, "rnn", "t")
    assert {name: symbol.shape.dims for name, symbol in scope.symbols.items()} == {
        "x": (1, 2),
        "W_a": (2, 4),
        "h": (1, 4),
        "r": (),
        "u": (3, 1),
    }
    assert scope.symbols["h"].before == {-1}
    assert scope.aliases == {"E": "l"}


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("sizes: {I: 2, H: 2}", "<text>:2:18: front matter: the sizes I and H are both 2"),
        ("sizes: {I: 1}", "<text>:2:12: front matter: the size I is 1, which hides transposes"),
        ("sizes: {H: 0}", "<text>:2:12: front matter: the size H must be a whole number from 1 to 32"),
        ("sizes: {H: 99999999999}", "<text>:2:12: front matter: the size H must be a whole number"),
        ("sizes: {T: 3}", "<text>:2:9: front matter: a size is named by one letter other than t and T, not T"),
        ("sizes: 4", "<text>:2:8: front matter: wanted a mapping"),
        ("sizes: {H: [1]}", "<text>:2:9: front matter: wanted a plain name and a plain value"),
        ("steps: 3", "<text>:2:8: front matter: steps must be a whole number from 4 to 32"),
        ("stepz: 5", "<text>:2:1: front matter: unknown key stepz; did you mean steps?"),
        ("gradlab: {colour: 5}", "<text>:2:11: front matter: unknown key colour; wanted one of sizes"),
        ("steps: 5\nsteps: 6", "<text>:3:1: front matter: the key steps stands twice"),
        ("sizes: {}\nsymbols: {W: I x H}", "<text>:3:11: front matter: no size is called I; there are none"),
        ("sizes: {}\nsymbols: {W: big}", "<text>:3:11: front matter: the shape big cannot be read: wanted `1 x H`"),
        ("symbols: {W: big}", "<text>:2:14: front matter: big cannot be read: wanted `H x I`, `scalar`, one-hot"),
        ("conventions: {layot: numerator}", "<text>:2:15: front matter: no convention is called layot; there are"),
        ("conventions: {layout: up}", "front matter: layout is shape or numerator or denominator, not up"),
        ("assume: {a: b}", "<text>:2:9: front matter: wanted mathematics as text"),
        ("sizes: {}\nsymbols: {t: scalar}", "<text>:3:11: front matter: t is the time"),
        ("sizes: {}\nsymbols: {a+b: scalar}", "<text>:3:11: front matter: a+b is no name"),
        ("sizes: {}\nsymbols:\n  x(t): 1 x 2\n  x(-1): 1 x 3", "front matter: x is 1×3 here and 1×2 above"),
        ("sizes: {}\nsymbols:\n  x(t): 1 x 2\n  x: 1 x 2", "front matter: x is declared twice"),
        ("sizes: {}\nsymbols: {x: scalar}\naliases: {x: y}", "front matter: x is a symbol already"),
        ("cell: xyz", "<text>:2:7: front matter: no cell is called xyz; there are "),
        ("default_time: k", "<text>:2:15: front matter: default_time can only be t"),
        ("- a\n- b", "<text>:2:1: front matter: wanted a mapping with the keys sizes"),
        ("a: [1", "<text>:3:1: front matter: not YAML: expected ',' or ']'"),
        ("a: \x07", "<text>:2:4: front matter: not YAML: character U+0007"),
        ("[" * 5000, "front matter: not YAML: "),
        ("a: " + "x" * 30_000, "<text>:2:1: front matter: 30,004 characters long; at most 20,000 are read"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(front: str, message: str) -> None:
    assert any(message in problem for problem in problems(front)), problems(front)


def test_keys_of_others_are_left_alone() -> None:
    assert problems("title: A derivation\nlayout: post\ntags: [a, b]\nsteps: 6") == []
    scope, found = declared(read_text("---\nsteps: 4\ngradlab: {steps: 6}\n---\n"))
    assert (found, scope.steps) == ([], 6)


def test_only_declared_sizes_close_a_document() -> None:
    assert declared(read_text("---\nsizes: {H: 4}\n---\n"))[0].strict
    assert not declared(read_text("---\nsymbols: {y: one-hot, W: H x I}\n---\n"))[0].strict
    assert not declared(read_text("$a = b$"))[0].strict
