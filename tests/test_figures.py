"""Every figure in each theme and format; the credit matrix against differences of the losses themselves."""

import dataclasses
import inspect
import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, ImageSequence

from gradlab import figures
from gradlab.cells import Code, cell
from gradlab.equations import nudged
from gradlab.figures import THEMES, Animation, addition, credit, credit_matrix, network, save, unrolled
from gradlab.figures.canvas import README_DPI, SMALL, own_settings
from gradlab.manual import rnn
from gradlab.problem import Problem


def problem(T=4, H=3, *, B=1, I=2, O=1, reach=1.0, seed=0):
    rng = np.random.default_rng(seed)

    def uniform(*shape):
        return rng.uniform(-reach, reach, shape)

    params = rnn.Params(uniform(I, H), uniform(H, H), uniform(H, O))
    bits = rng.integers(0, 2, (T, B, I)).astype(float), rng.integers(0, 2, (T, B, O)).astype(float)
    return Problem(params, *bits, rnn.State(rng.uniform(0, 1, (B, H))))


SMALL_ONE, LARGER_ONE = problem(4, 3), problem(8, 16)
KINDS = {
    "network": lambda theme: network(SMALL_ONE, theme=theme),
    "network-larger": lambda theme: network(LARGER_ONE, theme=theme),
    "network-cell": lambda theme: network("rnn", theme=theme),
    "network-many": lambda theme: network(problem(2, 9, I=8, O=7), theme=theme),
    "unrolled": lambda theme: unrolled(SMALL_ONE, theme=theme),
    "unrolled-larger": lambda theme: unrolled(LARGER_ONE, theme=theme),
    "unrolled-one-step": lambda theme: unrolled(problem(1, 1), theme=theme),
    "unrolled-window": lambda theme: unrolled(problem(20, 64, B=2, I=5, O=3), item=1, first=4, theme=theme),
    "unrolled-large-weights": lambda theme: unrolled(problem(10, 16, reach=30), theme=theme),
    "addition": lambda theme: addition(5, 2, bits=4, params=SMALL_ONE.params, theme=theme),
    "addition-widest": lambda theme: addition(2**61, 2**61 - 9, bits=62, params=LARGER_ONE.params, theme=theme),
    "credit": lambda theme: credit(SMALL_ONE, theme=theme),
    "credit-larger": lambda theme: credit(LARGER_ONE, theme=theme),
    "credit-long": lambda theme: credit(problem(40, 4), theme=theme),
    "credit-one-step": lambda theme: credit(problem(1, 2), theme=theme),
}


TINY = problem(2, 2)
MAIN = {
    "network": lambda theme: network(TINY, theme=theme),
    "unrolled": lambda theme: unrolled(TINY, theme=theme),
    "addition": lambda theme: addition(1, 1, bits=2, params=TINY.params, theme=theme),
    "credit": lambda theme: credit(TINY, theme=theme),
}


def still(drawn):
    return drawn.figure if isinstance(drawn, Animation) else drawn


def texts(figure):
    """(text, its box in pixels at README width) of every text that is drawn."""
    figure.set_dpi(README_DPI)
    renderer = FigureCanvasAgg(figure).get_renderer()
    with own_settings():
        figure.draw_without_rendering()
        return [(text, text.get_window_extent(renderer)) for axes in figure.axes for text in written_in(axes)]


def written_in(axes):
    """The texts of axes and, where these are shown, the numbers at the ticks within view."""
    yield from (text for text in axes.texts if text.get_text().strip())
    for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
        low, high = sorted(axis.get_view_interval())
        for place, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True):
            if low <= place <= high and label.get_text() and label.get_visible():
                yield label


@pytest.fixture(scope="module", params=KINDS)
def drawn(request):
    """A figure, and its texts with their boxes."""
    # Where a text stands does not depend on the theme.
    figure = still(KINDS[request.param]("light"))
    return figure, texts(figure)


def test_a_figure_is_as_wide_as_a_readme(drawn):
    figure, found = drawn
    assert figure.get_figwidth() * README_DPI == 800
    assert len(found) > 5


def assert_legible(figure, found):
    for text, box in found:
        where = (text.get_text(), box)
        assert text.get_fontsize() >= SMALL, where
        assert box.x0 >= 2, where
        assert box.y0 >= 2, where
        assert box.x1 <= figure.bbox.x1 - 2, where
        assert box.y1 <= figure.bbox.y1 - 2, where


def overlaps(found):
    # Neighbours may touch by a pixel or two: a box is a little larger than its ink.
    inner = [(text.get_text(), box.x0 + 1, box.x1 - 1, box.y0 + 2, box.y1 - 2) for text, box in found]
    for (one, ax0, ax1, ay0, ay1), (other, bx0, bx1, by0, by1) in itertools.combinations(inner, 2):
        if ax0 < bx1 and bx0 < ax1 and ay0 < by1 and by0 < ay1:
            yield one, other


def test_no_text_is_clipped_or_too_small_or_on_another(drawn):
    figure, found = drawn
    assert_legible(figure, found)
    assert list(overlaps(found)) == []


def test_a_clipped_a_small_and_a_covered_text_are_found():
    figure = network("rnn")
    over = figure.axes[0].text(4.0, 3.0, "over")
    figure.axes[0].text(4.0, 3.0, "under")
    assert ("over", "under") in list(overlaps(texts(figure)))
    over.set(position=(7.9, 0.2), text="beyond the edge")
    with pytest.raises(AssertionError, match="beyond the edge"):
        assert_legible(figure, texts(figure))
    over.set(position=(4.0, 0.2), text="tiny", fontsize=5)
    with pytest.raises(AssertionError, match="tiny"):
        assert_legible(figure, texts(figure))


def test_numbers_at_the_ticks_are_looked_at():
    figure = credit(LARGER_ONE)
    figure.axes[1].tick_params(labelsize=6)
    with pytest.raises(AssertionError, match="'0'"):
        assert_legible(figure, texts(figure))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("kind", "suffix"), [*itertools.product(MAIN, [".png", ".svg"]), ("addition", ".gif")], ids="".join
)
def test_every_kind_is_written_with_the_same_bytes_each_time(kind, suffix, theme, tmp_path):
    first = save(MAIN[kind](theme), tmp_path / f"first{suffix}")
    assert list(tmp_path.iterdir()) == [first]
    if theme == "light":
        assert save(MAIN[kind](theme), tmp_path / f"second{suffix}").read_bytes() == first.read_bytes()
    if suffix == ".svg":
        text = first.read_text()
        assert "<dc:date>" not in text
        assert THEMES[theme].paper in text
        return
    with Image.open(first) as image:
        assert image.width == (800 if suffix == ".gif" else 1600)
        corner = "#{:02x}{:02x}{:02x}".format(*image.convert("RGB").getpixel((0, image.height - 1)))
        assert corner == THEMES[theme].paper


def test_the_user_settings_change_nothing(tmp_path):
    import matplotlib

    plain = save(unrolled(TINY), tmp_path / "plain.svg").read_bytes()
    with matplotlib.rc_context(
        {"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "none", "axes.facecolor": "red"}
    ):
        assert save(unrolled(TINY), tmp_path / "other.svg").read_bytes() == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_the_animation_reads_one_column_more_in_each_frame(tmp_path):
    path = save(addition(5, 2, bits=4, params=SMALL_ONE.params), tmp_path / "add.gif")
    with Image.open(path) as image:
        frames = [np.asarray(frame.convert("L"), float) for frame in ImageSequence.Iterator(image)]
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    assert len(frames) == 6
    assert durations[-1] == 3 * durations[0]
    changed = [np.abs(b - a)[60:420].max(axis=0) > 40 for a, b in itertools.pairwise(frames)]
    leftmost = [np.flatnonzero(columns)[0] for columns in changed[:4]]
    assert leftmost == sorted(leftmost, reverse=True)


def test_the_animation_says_what_the_network_says():
    params = LARGER_ONE.params
    a, b, bits = 9, 5, 5
    animation = addition(a, b, bits=bits, params=params)
    x = np.array([[[(a >> t) & 1, (b >> t) & 1]] for t in range(bits)], float)
    y_hat = rnn.forward(params, x, rnn.State(np.zeros((1, 16)))).y_hat.ravel()
    animation.draw(bits + 1)
    shown = {text.get_text() for text, _ in texts(animation.figure)}
    assert {f"{value:.2f}" for value in y_hat} <= shown
    said = sum(int(value > 0.5) << t for t, value in enumerate(y_hat))
    assert {str(said), str(a + b)} <= shown
    wrong = bin(said ^ (a + b)).count("1")
    assert f"{wrong} of 5 bits wrong" in shown
    animation.draw(0)
    assert "least significant bit first" in {text.get_text() for text, _ in texts(animation.figure)}


def test_the_numbers_on_the_nodes_are_those_of_the_hand_written_pass():
    p = SMALL_ONE
    trace = rnn.forward(p.params, p.x, p.state)
    deltas = rnn.bptt(p.params, p.x, p.y, p.state, trace).deltas
    shown = [text.get_text().replace("−", "-") for text, _ in texts(unrolled(p))]
    for values, unit in ((trace.a_hidden, 1), (trace.y_hat, 1), (deltas.output, 1), (deltas.hidden, 1e-2)):
        for value in values.ravel():
            assert f"{value / unit:.2f}" in shown


REFUSED = {
    "suffix": (lambda path: save(network("rnn"), path / "a.pdf"), r"a still figure .* \.png or \.svg, not as \.pdf"),
    "no-suffix": (lambda path: save(network("rnn"), path / "a"), r"\.png or \.svg, not as a file without a suffix"),
    "still-gif": (lambda path: save(network("rnn"), path / "a.gif"), r"a still figure can be saved as \.png or \.svg"),
    "animation": (
        lambda path: save(addition(1, 1, bits=2, params=SMALL_ONE.params), path / "a.mp4"),
        r"an animation can be saved as \.png, \.svg or \.gif, not as \.mp4",
    ),
    "theme": (lambda path: network("rnn", theme="sepia"), "no theme is called 'sepia'; there are light, dark"),
    "negative": (lambda path: addition(-1, 1, bits=2, params=SMALL_ONE.params), r"a = -1: only numbers from 0 on"),
    "overflow": (
        lambda path: addition(3, 1, bits=2, params=SMALL_ONE.params),
        r"3 \+ 1 = 4 needs 3 bits, got bits = 2",
    ),
    "bits": (lambda path: addition(3, 1, bits=63, params=SMALL_ONE.params), r"bits = 63: from 1 to 62"),
    "no-adder": (lambda path: addition(3, 1, bits=4, params=problem(I=3).params), r"W_input has shape \(3, 3\)"),
    "item": (lambda path: unrolled(SMALL_ONE, item=1), r"item = 1: the batch has 1 items"),
    "first": (lambda path: unrolled(SMALL_ONE, first=4), r"first = 4, .*the problem has 4 steps, 0 to 3"),
    "by": (lambda path: credit(SMALL_ONE, by="a_hidden"), "cell 'rnn' has no total delta by 'a_hidden': .*net_hidden"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line(case, tmp_path):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as refusal:
        call(tmp_path)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = save(network("rnn"), tmp_path / "figure.png")
    old = path.read_bytes()
    figure = network("rnn")
    figure.savefig = lambda *args, **options: (args[0].write_bytes(b"half"), 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(figure, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def differences(p, step=1e-6):
    """∂l(k)/∂net_hidden(t), by central differences of each l(k) with net_hidden(t) nudged: it never calls bptt."""
    forward = nudged(rnn.forward, ("net_hidden",))
    sizes = p.sizes
    shape = sizes["T"], sizes["B"], sizes["H"]
    found = np.empty((sizes["T"], *shape))

    def losses(nudge):
        trace = forward(p.params, p.x, p.state, nudges={"net_hidden": nudge})
        return rnn.loss(trace.y_hat, p.y).per_step

    for at in np.ndindex(shape):
        nudge = np.zeros(shape)
        nudge[at] = step
        found[(slice(None), *at)] = (losses(nudge) - losses(-nudge)) / (2 * step)
    return found


def assert_credit_is_right(p, of=None):
    wanted = differences(p)
    found = credit_matrix(p, cell=of).deltas
    # The differences carry rounding of the losses over the step, 1e-16 / 1e-6, and a truncation below that.
    assert np.abs(found - wanted).max() < 3e-9, f"off by {np.abs(found - wanted).max():.1e}"


@pytest.mark.parametrize("sizes", [{}, {"T": 6, "H": 5, "B": 3, "O": 2}, {"T": 1, "H": 2}], ids=str)
def test_the_credit_matrix_equals_differences_of_the_losses(sizes):
    p = problem(**sizes, reach=2.0, seed=7)
    assert_credit_is_right(p)
    found = credit_matrix(p)
    assert found.by == "net_hidden"
    np.testing.assert_allclose(found.total, np.linalg.norm(differences(p), axis=(2, 3)), atol=3e-9)
    assert (found.total[np.triu_indices(p.sizes["T"], 1)] == 0).all()


def explicit_only():
    """The cell with the seeds' recursion: the explicit delta of t + 1 is sent back instead of the total one."""
    source = textwrap.dedent(inspect.getsource(rnn.bptt))
    right, wrong = (
        "delta_hidden[t + 1], W_hidden.T)",
        "(delta_explicit[t + 1] if t + 1 < T else 0 * slope[t]), W_hidden.T)",
    )
    assert right in source
    namespace = dict(vars(rnn))
    exec(source.replace(right, wrong), namespace)
    of = cell("rnn")
    return dataclasses.replace(of, code=Code(of.code.forward, of.code.loss, namespace["bptt"], "explicit only"))


def test_a_wrong_credit_matrix_is_found():
    with pytest.raises(AssertionError, match="off by"):
        assert_credit_is_right(problem(5, 3, reach=2.0), explicit_only())


def test_the_shadow_is_what_the_explicit_only_recursion_gives():
    p = problem(7, 4, B=2, reach=2.0, seed=3)
    right, wrong = credit_matrix(p), credit_matrix(p, cell=explicit_only())
    np.testing.assert_allclose(right.explicit_only, wrong.total, rtol=1e-12, atol=0)
    whole, seen = right.deltas.sum(axis=0), wrong.deltas.sum(axis=0)
    lost = np.linalg.norm(whole - seen, axis=(1, 2)) / np.linalg.norm(whole, axis=(1, 2))
    np.testing.assert_allclose(right.lost, lost, rtol=1e-9, atol=1e-15)
    assert lost[0] > 0.01
    assert (lost[-2:] == 0).all()


def test_the_credit_of_each_step_adds_up_to_the_total_delta():
    p = problem(6, 4, B=2)
    grads = rnn.bptt(p.params, p.x, p.y, p.state, rnn.forward(p.params, p.x, p.state))
    np.testing.assert_allclose(credit_matrix(p).deltas.sum(axis=0), grads.deltas.hidden, rtol=1e-12, atol=1e-18)


def test_a_long_sequence_vanishes_without_underflow():
    total = credit_matrix(problem(300, 2, reach=0.5)).total
    assert 0 < total[-1, 0] < 1e-160


def test_a_perfect_network_has_nothing_to_answer_for():
    p = problem()
    y_hat = rnn.forward(p.params, p.x, p.state).y_hat
    figure = credit(dataclasses.replace(p, y=y_hat))
    assert any("nothing to answer for" in text.get_text() for text, _ in texts(figure))


def test_nothing_touches_pyplot():
    code = "import sys; import gradlab.figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_are_there():
    assert all(hasattr(figures, name) for name in figures.__all__)
