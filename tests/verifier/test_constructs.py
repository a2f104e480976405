r"""Derivations as people write them, with nothing declared: in each, right claims are true and wrong ones are not."""

import pytest

from gradlab.verifier import verify_text
from gradlab.verifier.document import read_text
from gradlab.verifier.mutants import mutants
from gradlab.verifier.reading import resolve
from gradlab.verifier.report import Finding

ELMAN = r"""
$$ h_t = \tanh(W x_t + U h_{t-1} + b) $$
$$ o_t = V h_t $$
$$ L = \sum_{t=1}^T \frac12 \|o_t - y_t\|^2 $$
"""

DOCUMENTS = {
    "columns and subscripts": (
        ELMAN,
        [
            r"\frac{\partial L}{\partial o_t} = o_t - y_t",
            r"\frac{\partial h_t}{\partial h_{t-1}} = \operatorname{diag}(1 - h_t^2) U",
            r"\frac{\partial L}{\partial V} = \sum_t (o_t - y_t) h_t^T",
        ],
        [
            r"\frac{\partial L}{\partial o_t} = y_t - o_t",
            r"\frac{\partial h_t}{\partial h_{t-1}} = U \operatorname{diag}(1 - h_t^2)",
            r"\frac{\partial L}{\partial V} = \sum_t h_t (o_t - y_t)^T",
        ],
    ),
    "conditions": (
        ELMAN + r"$$ \delta_t = \frac{\partial L}{\partial h_t} $$",
        [
            r"\delta_t = V^T (o_t - y_t) + U^T ((1 - h_{t+1}^2) \odot \delta_{t+1}) \quad \text{for } t < T",
            r"\delta_T = V^T (o_T - y_T)",
        ],
        [
            r"\delta_t = V^T (o_t - y_t) \quad \text{for } t < T",
            r"\delta_t = V^T (o_t - y_t)",
        ],
    ),
    "rows": (
        r"""
$z = x W + b$, $a = \sigma(z)$ and $\hat{y} = a V$, with
$$ E = \frac{1}{2} (\hat{y} - y)(\hat{y} - y)^T $$
""",
        [
            r"\frac{\partial E}{\partial V} = a^T (\hat{y} - y)",
            r"\frac{\partial E}{\partial a} = (\hat{y} - y) V^T",
            r"\frac{\partial E}{\partial W} = x^T ((\hat{y} - y) V^T \odot a \odot (1 - a))",
        ],
        [
            r"\frac{\partial E}{\partial V} = a^T (y - \hat{y})",
            r"\frac{\partial E}{\partial a} = (\hat{y} - y) V",
            r"\frac{\partial E}{\partial W} = x^T ((\hat{y} - y) V^T \odot a)",
        ],
    ),
    "superscripts in angle brackets": (
        r"""
$$ a^{\langle t \rangle} = \tanh(W_{aa} a^{\langle t-1 \rangle} + W_{ax} x^{\langle t \rangle} + b_a) $$
$$ J = \sum_t a^{\langle t \rangle \top} a^{\langle t \rangle} $$
""",
        [
            (
                r"\frac{\partial a^{\langle t \rangle}}{\partial a^{\langle t-1 \rangle}}"
                r" = \mathrm{diag}(1 - (a^{\langle t \rangle})^2) W_{aa}"
            )
        ],
        [
            (
                r"\frac{\partial a^{\langle t \rangle}}{\partial a^{\langle t-1 \rangle}}"
                r" = \mathrm{diag}(1 - (a^{\langle t-1 \rangle})^2) W_{aa}"
            )
        ],
    ),
    "layers": (
        r"""
$$ z^{[l]} = W^{[l]} a^{[l-1]} + b^{[l]} $$
$$ a^{[l]} = \sigma(z^{[l]}) $$
$$ J = \frac{1}{2} \| a^{[L]} - y \|^2 $$
$$ \delta^{[l]} = \frac{\partial J}{\partial z^{[l]}} $$
""",
        [
            r"\delta^{[l]} = (W^{[l+1]})^T \delta^{[l+1]} \odot \sigma'(z^{[l]}) \text{ for } l < L",
            r"\delta^{[L]} = (a^{[L]} - y) \odot \sigma'(z^{[L]})",
            r"\frac{\partial J}{\partial W^{[l]}} = \delta^{[l]} (a^{[l-1]})^T",
            r"\frac{\partial J}{\partial b^{[l]}} = \delta^{[l]}",
        ],
        [
            r"\delta^{[l]} = W^{[l+1]} \delta^{[l+1]} \odot \sigma'(z^{[l]}) \text{ for } l < L",
            r"\delta^{[L]} = (y - a^{[L]}) \odot \sigma'(z^{[L]})",
            r"\frac{\partial J}{\partial W^{[l]}} = \delta^{[l]} (a^{[l]})^T",
            r"\frac{\partial J}{\partial b^{[l]}} = 2 \delta^{[l]}",
        ],
    ),
    "indices": (
        r"""
$$ z_i = \sum_j W_{ij} x_j + b_i $$
$$ p_i = \frac{e^{z_i}}{\sum_k e^{z_k}} $$
$$ L = -\sum_i y_i \log p_i $$
""",
        [
            r"\frac{\partial p_i}{\partial z_j} = p_i (\delta_{ij} - p_j)",
            r"\frac{\partial L}{\partial p_i} = -\frac{y_i}{p_i}",
            r"\frac{\partial L}{\partial z_i} = p_i \sum_k y_k - y_i",
            r"\frac{\partial z_i}{\partial x_j} = W_{ij}",
        ],
        [
            r"\frac{\partial p_i}{\partial z_j} = p_i (1 - p_j)",
            r"\frac{\partial L}{\partial p_i} = \frac{y_i}{p_i}",
            r"\frac{\partial L}{\partial z_i} = y_i - p_i \sum_k y_k",
            r"\frac{\partial z_i}{\partial x_j} = W_{ji}",
        ],
    ),
    "softmax and one-hot targets": (
        (
            "---\nsymbols: {y: one-hot}\n---\n"
            r"""
$$ z = W h + c $$
$$ p = \mathrm{softmax}(z) $$
$$ L = -y^T \log p $$
"""
        ),
        [
            r"\frac{\partial L}{\partial z} = p - y",
            r"\frac{\partial p}{\partial z} = \operatorname{diag}(p) - p p^T",
            r"\nabla_W L = (p - y) h^T",
        ],
        [
            r"\frac{\partial L}{\partial z} = y - p",
            r"\frac{\partial p}{\partial z} = \operatorname{diag}(p) + p p^T",
            r"\nabla_W L = h (p - y)^T",
        ],
    ),
    "a generic activation and a loss that is nowhere defined": (
        r"""
$$ z = W x + b $$
$$ a = \phi(z) $$
$$ o = V a $$
""",
        [
            r"\frac{\partial L}{\partial a} = V^T \frac{\partial L}{\partial o}",
            r"\frac{\partial L}{\partial z} = \phi'(z) \odot V^T \frac{\partial L}{\partial o}",
            r"\frac{\partial L}{\partial W} = \frac{\partial L}{\partial z} x^T",
        ],
        [
            r"\frac{\partial L}{\partial a} = V \frac{\partial L}{\partial o}",
            r"\frac{\partial L}{\partial z} = \phi(z) \odot V^T \frac{\partial L}{\partial o}",
            r"\frac{\partial L}{\partial W} = x \frac{\partial L}{\partial z}^T",
        ],
    ),
    "products over time": (
        ELMAN,
        [r"\frac{\partial h_t}{\partial h_k} = \prod_{i=k+1}^{t} \frac{\partial h_i}{\partial h_{i-1}}"],
        [r"\frac{\partial h_t}{\partial h_k} = \prod_{i=k}^{t} \frac{\partial h_i}{\partial h_{i-1}}"],
    ),
    "concatenation": (
        r"""
$$ i_t = \sigma(W_i [h_{t-1}, x_t] + b_i) $$
$$ f_t = \sigma(W_f [h_{t-1}, x_t] + b_f) $$
$$ g_t = \tanh(W_g [h_{t-1}, x_t] + b_g) $$
$$ o_t = \sigma(W_o [h_{t-1}, x_t] + b_o) $$
$$ c_t = f_t \odot c_{t-1} + i_t \odot g_t $$
$$ h_t = o_t \odot \tanh(c_t) $$
""",
        [
            r"\frac{\partial h_t}{\partial o_t} = \operatorname{diag}(\tanh(c_t))",
            r"\frac{\partial c_t}{\partial f_t} = \operatorname{diag}(c_{t-1})",
            r"\frac{\partial h_t}{\partial c_t} = \operatorname{diag}(o_t \odot (1 - \tanh^2(c_t)))",
        ],
        [
            r"\frac{\partial h_t}{\partial o_t} = \operatorname{diag}(c_t)",
            r"\frac{\partial c_t}{\partial f_t} = \operatorname{diag}(c_t)",
            r"\frac{\partial h_t}{\partial c_t} = \operatorname{diag}(o_t \odot (1 - \tanh(c_t)))",
        ],
    ),
    "ReLU, and columns that are parted by commas": (
        r"""
$$ z = W x, \quad a = \max(0, z), \quad L = \frac{1}{2} \|a - y\|^2 $$
""",
        [
            (
                r"\frac{\partial L}{\partial a} = a - y"
                r", \quad \frac{\partial L}{\partial x} = W^T \frac{\partial L}{\partial z}"
            )
        ],
        [
            (
                r"\frac{\partial L}{\partial a} = a + y"
                r", \quad \frac{\partial L}{\partial x} = W \frac{\partial L}{\partial z}"
            )
        ],
    ),
    "declared sizes": (
        r"""
Let $W \in \mathbb{R}^{h \times d}$ and $x \in \mathbb{R}^{d}$. Then
$$ y = W x $$
$$ s = v^T y $$
""",
        [r"\frac{\partial s}{\partial x} = W^T v", r"\frac{\partial y}{\partial x} = W"],
        [r"\frac{\partial s}{\partial x} = W v", r"\frac{\partial y}{\partial x} = W^T"],
    ),
    "numerator layout as a convention": (
        (
            "---\nconventions: {layout: numerator}\n---\n"
            r"""
$$ y = W x $$
$$ s = v^T y $$
"""
        ),
        [
            r"\frac{\partial s}{\partial x} = v^T W",
            r"\frac{\partial s}{\partial x} = \frac{\partial s}{\partial y} \frac{\partial y}{\partial x}",
        ],
        [r"\frac{\partial s}{\partial x} = W^T v", r"\frac{\partial s}{\partial W} = v x^T"],
    ),
    "the immediate derivative as a convention": (
        "---\nconventions: {partial: immediate}\n---\n" + ELMAN,
        [r"\frac{\partial h_t}{\partial b} = \operatorname{diag}(1 - h_t^2)"],
        [r"\frac{\partial h_t}{\partial b} = \operatorname{diag}(1 - h_t^2) U"],
    ),
    "matrices and traces": (
        r"""
$$ K = X X^T $$
$$ s = \operatorname{tr}(A X) $$
$$ f = x^T B x $$
""",
        [r"\frac{\partial s}{\partial X} = A^T", r"\frac{\partial f}{\partial x} = (B + B^T) x"],
        [r"\frac{\partial s}{\partial X} = A", r"\frac{\partial f}{\partial x} = 2 B x"],
    ),
}
CASES = [(name, claim, True) for name, (_, right, _) in DOCUMENTS.items() for claim in right]
CASES += [(name, claim, False) for name, (_, _, wrong) in DOCUMENTS.items() for claim in wrong]


def judged(name: str, claim: str, with_right: bool = True) -> list[Finding]:
    """The findings of a claim that stands behind the right ones of its document."""
    head, right, _ = DOCUMENTS[name]
    others = "\n".join(f"$$ {each} $$" for each in right if each != claim) if with_right else ""
    text = f"{head}\n{others}\n"
    found = verify_text(f"{text}$$ {claim} $$\n", repairs=False)
    return [finding for finding in found.findings if finding.place.line == text.count("\n") + 1]


@pytest.mark.parametrize(("name", "claim", "holds"), CASES)
def test_right_claims_are_true_and_wrong_ones_are_not(name: str, claim: str, holds: bool) -> None:
    findings = judged(name, claim)
    assert findings
    for finding in findings:
        shown = "\n".join(finding.lines())
        assert (finding.verdict == "true") == holds, shown
        if not holds:
            assert finding.verdict in ("false", "shape", "open", "true if"), shown


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_mutant_of_a_right_claim_is_caught_or_proven_equal(name: str) -> None:
    head, right, _ = DOCUMENTS[name]
    derivation = resolve(read_text(head + "".join(f"\n$$ {claim} $$\n" for claim in right)))
    found = list(mutants(derivation))
    assert found
    assert [f"{mutant.kind}: {mutant.text}" for mutant in found if mutant.outcome == "missed"] == []
