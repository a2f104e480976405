"""What a program keeps: values, formats, and the user's own line of every operation."""

import inspect

import numpy as np
import pytest

from gradlab.tape import NotRecorded, Program
from gradlab.tape.program import ONE, UNSET, ZERO, is_foreign


def test_the_first_nodes_are_zero_and_one():
    program = Program()
    assert program.floats(np.array([ZERO, ONE])).tolist() == [0, 1] and np.isnan(program.floats(np.array([UNSET])))
    assert program.literal(0.0, np.dtype(float)) == ZERO and program.literal(1.0, np.dtype(np.float32)) == ONE


def test_literals_are_one_node_each_and_minus_zero_is_none_of_them():
    program = Program()
    numbers = [0.5, 0.5, -0.0, np.inf, np.nan, np.nan, 0.1]
    found = [program.literal(number, np.dtype(float)) for number in numbers]
    assert found[0] == found[1] and found[4] == found[5] and len(set(found)) == 5
    assert np.copysign(1, program.floats(np.array(found[2])))[()] == -1
    assert program.literal(0.1, np.dtype(np.float32)) != found[-1]


def test_values_are_laid_out_as_their_nodes_are():
    program = Program()
    start = program.length
    index = program.append("numbers", (), np.arange(12.0).reshape(3, 4), "made")
    views = [
        index.T,
        index[:, ::2],
        index[::-1],
        index[:, 1:3].T,
        index[1],
        np.broadcast_to(index[0], (5, 4)),
        index[:0],
    ]
    views += [np.lib.stride_tricks.sliding_window_view(index[0], 2)]
    for view in views:
        for dtype, size in ((np.dtype(float), 8), (np.dtype(np.float32), 4)):
            found = program.floats(view, dtype)
            assert np.array_equal(found, view - float(start))
            if view.size:
                assert [step * size // 8 for step in view.strides] == list(found.strides)


def test_what_is_written_later_changes_no_operand(engine):
    def function(x):
        buffer = x * 1
        doubled = buffer * 2
        buffer[:] = 0
        return doubled

    assert engine.on_balls(engine.record(function, engine.X)).store.shape[1] > 12
    assert np.array_equal(engine.record(function, engine.X).found.floats, engine.X * 2)


def test_a_block_knows_the_line_and_the_columns_that_asked_for_it(engine):
    def inner(a):
        return np.tanh(a)

    def outer(x):
        y = 1 + x
        return inner(y)

    made = engine.record(outer, engine.X)
    block = next(block for block in made.program.blocks if block.operation == "tanh")
    first = inspect.getsourcelines(inner)[1]
    assert [frame.line for frame in block.site.frames] == [first + 1, first + 5]
    assert block.site.where == f"test_program.py:{first + 1}"
    start, end = block.site.frames[0].columns
    assert inspect.getsourcelines(inner)[0][1][start:end] == "np.tanh(a)"


def test_operations_of_one_call_are_numbered(engine):
    made = engine.record(lambda x: np.var(x), engine.X)
    numbers = [block.site.nth for block in made.program.blocks if block.operation != "numbers"]
    assert numbers == list(range(len(numbers)))


def test_where_a_block_ends():
    program = Program()
    for size in (3, 0, 2):
        program.append("numbers", (), np.ones(size), "made")
    assert [program.end(np.array([node])) for node in range(3, 8)] == [6, 6, 6, 8, 8]
    assert program.end(np.array([3, 6, 1])) == 8


def test_complex_numbers_are_refused(engine):
    with pytest.raises(NotRecorded, match="complex"):
        engine.record(lambda x: x + 1j, engine.X)


@pytest.mark.parametrize(
    ("file", "foreign"),
    [(np.__file__, True), (inspect.__file__, True), ("/home/somebody/grad.py", False), ("<ipython-input-1>", False)],
)
def test_whose_a_file_is(file, foreign):
    assert is_foreign(file) is foreign


def test_the_packages_own_gradients_are_code_under_test():
    import gradlab.manual.rnn
    import gradlab.tape

    assert not is_foreign(gradlab.manual.rnn.__file__)
    assert is_foreign(gradlab.tape.__file__)
