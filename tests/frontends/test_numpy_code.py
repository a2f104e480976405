"""A recording: functions called one after the other in one world, on nodes of one program."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import BallArithmetic, midpoints
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import Adjoints, NotRecorded, Recorded, replay

X = np.array([0.25, -0.5, 1.5])


class Net:
    def __init__(self):
        self.cache = {}

    def loss(self, w):
        self.cache["h"] = np.tanh(w)
        return np.sum(self.cache["h"] ** 2)

    def gradient(self, w, upstream):
        upstream *= 2 * self.cache["h"]
        return upstream * (1 - self.cache["h"] ** 2)


def test_a_gradient_finds_what_the_loss_stored_and_is_proven():
    net = Net()
    recording = Recording({"loss": net.loss, "gradient": net.gradient})
    w, upstream = recording.leaf(X, "parameter"), recording.leaf(np.ones(3), "upstream")
    loss = recording.nodes(recording.call(recording.functions["loss"], recording.array(w, float)))
    gradient = recording.call(
        recording.functions["gradient"], recording.array(w, float), recording.array(upstream, float)
    )
    recording.whole()
    run = replay(recording.program, BallArithmetic())
    true = Adjoints(run, loss.reshape(1, 1)).rows(w)[0]
    assert all(one.overlaps(other) for one, other in zip(true, run.stored(recording.nodes(gradient))[0], strict=True))
    assert net.cache == {} and np.array_equal(recording.program.floats(upstream), np.ones(3))


def test_arrays_are_given_as_numpy_would_have_them():
    recording = Recording({})
    index = recording.leaf(np.float32([[1, 2], [3, 4]]).T, "parameter")
    array, number = recording.array(index, np.float32), recording.array(index[0, 0], np.float32, number=True)
    assert isinstance(array, Recorded) and array.dtype == np.float32 and array.flags.f_contiguous
    assert isinstance(number.floats, np.float32) and isinstance(array.floats, np.ndarray)
    array[:] = 0
    assert recording.program.floats(index).all()


def test_what_a_function_returns_may_be_lists_and_numbers():
    recording = Recording({})
    x = recording.array(recording.leaf(X, "parameter"), float)
    for returned, shape in [
        (x, (3,)),
        ([x, x], (2, 3)),
        (x[0], ()),
        (2.5, ()),
        ([x[0], 1.0], (2,)),
        (np.ones(2), (2,)),
    ]:
        index = recording.nodes(returned)
        assert (
            index.shape == shape
            and midpoints(replay(recording.program, BallArithmetic()).stored(index)[0]).shape == shape
        )


def test_a_number_that_left_the_recording_is_said_with_its_line():
    import struct

    recording = Recording({"f": lambda x: x * struct.unpack("d", struct.pack("d", x[0]))[0]})
    recording.call(recording.functions["f"], recording.array(recording.leaf(X, "parameter"), float))
    with pytest.raises(
        NotRecorded, match=r"test_numpy_code.py:\d+: a number is calculated with where nothing is recorded"
    ):
        recording.whole()


def test_warnings_of_numpy_are_not_the_users_to_see():
    recording = Recording({"f": lambda x: np.log(x) / (x - x)})
    found = recording.call(recording.functions["f"], recording.array(recording.leaf(X, "parameter"), float))
    assert not np.isfinite(found.floats).any()
