import pytest

from gradlab.verifier.shapes import Shape, Trouble, how_to_multiply, of_derivative, product, same

NUMBER, ONE, ROW, COLUMN, MATRIX = Shape(()), Shape((1, 1)), Shape((1, 4)), Shape((4, 1)), Shape((4, 4))
SHORT = Shape((1, 3))
GRADIENT = of_derivative(ONE, ROW)
JACOBIAN = of_derivative(SHORT, ROW)
TENSOR = of_derivative(ROW, MATRIX)


def test_derivatives_have_the_shape_the_convention_gives_them() -> None:
    assert GRADIENT.dims == (1, 4)
    assert of_derivative(ONE, MATRIX).dims == (4, 4)
    assert JACOBIAN.dims == (3, 4)
    assert of_derivative(COLUMN, COLUMN).dims == (4, 4)
    assert TENSOR.dims == (1, 4, 4, 4)
    assert str(TENSOR) == "a tensor (1×4 by 4×4)"
    with pytest.raises(Trouble, match="the derivative of 4×1 by 1×4: wanted a row by a row"):
        of_derivative(COLUMN, ROW)


@pytest.mark.parametrize(
    ("left", "right", "how", "dims"),
    [
        (NUMBER, MATRIX, "scalar", (4, 4)),
        (ONE, MATRIX, "scalar", (4, 4)),
        (ROW, ONE, "scalar", (1, 4)),
        (ROW, COLUMN, "matrix", (1, 1)),
        (COLUMN, ROW, "matrix", (4, 4)),
        (ROW, MATRIX, "matrix", (1, 4)),
        (of_derivative(ONE, SHORT), JACOBIAN, "chain", (1, 4)),
        (JACOBIAN, TENSOR, "chain", (1, 3, 4, 4)),
        (GRADIENT, TENSOR, "chain", (4, 4)),
        (ROW, TENSOR, "from the left", (4, 4)),
        (MATRIX, TENSOR, "from the left", (1, 4, 4, 4)),
        (TENSOR, MATRIX, "inside", (1, 4, 4, 4)),
    ],
)
def test_products(left: Shape, right: Shape, how: str, dims: tuple[int, ...]) -> None:
    assert how_to_multiply(left, right) == how
    assert product(left, right).dims == dims


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (ROW, ROW, r"matrix product of 1×4 and 1×4 does not conform; \\odot would"),
        (ROW, SHORT, "matrix product of 1×4 and 1×3 does not conform$"),
        (SHORT, TENSOR, r"matrix product of 1×3 and a tensor \(1×4 by 4×4\)"),
        (TENSOR, TENSOR, r"a tensor \(1×4 by 4×4\) and a tensor"),
    ],
)
def test_products_that_do_not_conform_name_both_shapes(left: Shape, right: Shape, message: str) -> None:
    with pytest.raises(Trouble, match=message):
        product(left, right)


def test_nothing_is_broadcast_but_numbers() -> None:
    assert same(NUMBER, MATRIX)
    assert not same(ONE, MATRIX)
    assert not same(ROW, MATRIX)
    assert not same(TENSOR, MATRIX)
    assert not same(NUMBER, TENSOR)
