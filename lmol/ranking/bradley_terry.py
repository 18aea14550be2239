"""Bradley-Terry strengths from fractional wins, with standard errors.

P(i beats j) = expit(s_i - s_j) (Bradley and Terry 1952, Biometrika 39, 324-345). n images, P
comparisons; strengths are in logits. Virtual ties of each image with an average one of strength 0
are one more comparison each, so the penalised likelihood is a logistic regression without an
intercept on P + n rows, strictly concave, with a finite maximum on any comparison graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.linalg import cg
from scipy.special import expit

Floats = NDArray[np.float64]
Indices = NDArray[np.integer]

TOLERANCE = 1e-9
"""Largest gradient component of a converged fit, in wins; rounding errors are about 1e-12."""

MAX_ITERATIONS = 100
"""Newton steps before a fit counts as not converged; 5 to 15 are usual."""

SMALLEST_STEP = 2.0**-30
"""Share of a Newton step below which the line search gives up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BradleyTerryFit:
    """Strengths of n images and how well the comparisons determine them, both in logits.

    strengths: shape (n,), mean 0, since comparisons determine differences only.

    standard_errors: shape (n,), of the centred strengths: roots of the diagonal of C inv(H) C, with
    H the Hessian of the penalised negative log-likelihood at its minimum and C = I - 1/n. They hold
    if the Bradley-Terry model is true, every comparison (both orders together) is one independent
    vote, and votes are many enough for the likelihood to be quadratic; the virtual ties count as
    votes too. A fractional win share is weighed as one vote, though it varies less than a coin
    toss. They exclude errors that all comparisons of one image share, such as a judge that misreads
    this very image: they measure the uncertainty about this judge's ranking, not about the true
    scores.
    """

    strengths: Floats
    standard_errors: Floats


class PenalisedLikelihood:
    """Negative penalised log-likelihood in nats, with exact gradient and Hessian.

    first, second: shape (P,), indices of the images compared. win_share: shape (P,), share in
    [0, 1] of a win that `first` has. virtual_ties: ties of each image with an average image, > 0.
    """

    def __init__(
        self, num: int, first: Indices, second: Indices, win_share: Floats, virtual_ties: float
    ) -> None:
        assert first.shape == second.shape == win_share.shape, "one win share for each comparison"
        assert np.all((win_share >= 0) & (win_share <= 1)), "a win share is a share, and not NaN"
        assert np.all(first != second), "no image is compared with itself"
        assert virtual_ties > 0, "without virtual ties a strength can be infinite"
        self.design = sparse.vstack([_incidence(num, first, second), sparse.eye_array(num)]).tocsr()
        self.win_share = np.concatenate([win_share, np.full(num, 0.5)])
        self.weight = np.concatenate([np.ones(first.size), np.full(num, virtual_ties)])

    def value(self, strengths: Floats) -> float:
        """Return nats; every comparison is a binary trial with a fractional outcome."""
        gap = self.design @ strengths
        return float(self.weight @ (np.logaddexp(0.0, gap) - self.win_share * gap))

    def gradient(self, strengths: Floats) -> Floats:
        """Return expected minus observed wins of each image, shape (n,)."""
        surplus = expit(self.design @ strengths) - self.win_share
        return np.asarray(self.design.T @ (self.weight * surplus))

    def hessian(self, strengths: Floats) -> sparse.csr_array:
        """Return (n, n), positive definite: a weighted graph Laplacian plus the virtual ties."""
        gap = self.design @ strengths
        information = self.weight * expit(gap) * expit(-gap)
        return sparse.csr_array(self.design.T @ (sparse.diags_array(information) @ self.design))


def fit_strengths(
    num: int, first: Indices, second: Indices, win_share: Floats, virtual_ties: float
) -> BradleyTerryFit:
    """Return centred strengths of `num` images that maximise the penalised likelihood.

    Arguments are those of PenalisedLikelihood. Raises RuntimeError if Newton's method does not
    bring every gradient component below TOLERANCE.
    """
    likelihood = PenalisedLikelihood(num, first, second, win_share, virtual_ties)
    strengths = _newton(likelihood, np.zeros(num))
    errors = _centred_standard_errors(likelihood.hessian(strengths))
    return BradleyTerryFit(strengths=strengths - strengths.mean(), standard_errors=errors)


def centred_strengths(
    num: int, first: Indices, second: Indices, win_share: Floats, virtual_ties: float
) -> Floats:
    """Return the strengths of fit_strengths, without the dense n^3 work of standard errors."""
    likelihood = PenalisedLikelihood(num, first, second, win_share, virtual_ties)
    strengths = _newton(likelihood, np.zeros(num))
    return strengths - strengths.mean()


def _incidence(num: int, first: Indices, second: Indices) -> sparse.coo_array:
    """Return (P, n): +1 at the first image, -1 at the second, so that its product is the gap."""
    row = np.arange(first.size)
    ones = np.ones(first.size)
    entries = np.concatenate([ones, -ones])
    where = (np.concatenate([row, row]), np.concatenate([first, second]))
    return sparse.coo_array((entries, where), shape=(first.size, num))


def _newton(likelihood: PenalisedLikelihood, strengths: Floats) -> Floats:
    """Run damped Newton steps; the Hessian stays sparse, conjugate gradients solve for the step.

    Progress is measured by the gradient and not by the value, whose rounding error hides the last
    digits of the strengths.
    """
    for _ in range(MAX_ITERATIONS):
        gradient = likelihood.gradient(strengths)
        if np.abs(gradient).max() <= TOLERANCE:
            return strengths
        hessian = likelihood.hessian(strengths)
        jacobi = sparse.diags_array(1.0 / hessian.diagonal())
        step, _ = cg(hessian, -gradient, rtol=1e-8, M=jacobi)
        strengths = _damped(likelihood, strengths, step, float(np.linalg.norm(gradient)))
    raise RuntimeError(
        f"Bradley-Terry fit: no convergence in {MAX_ITERATIONS} Newton steps, "
        f"gradient {np.abs(likelihood.gradient(strengths)).max():.1e} > {TOLERANCE:.0e}"
    )


def _damped(
    likelihood: PenalisedLikelihood, strengths: Floats, step: Floats, gradient_norm: float
) -> Floats:
    """Halve the step until it shortens the gradient, as a small enough Newton step always does."""
    share = 1.0
    while share >= SMALLEST_STEP:
        proposal = strengths + share * step
        if np.linalg.norm(likelihood.gradient(proposal)) <= (1.0 - 1e-4 * share) * gradient_norm:
            return proposal
        share /= 2.0
    raise RuntimeError(f"Bradley-Terry fit: stuck at gradient norm {gradient_norm:.1e}")


def _centred_standard_errors(hessian: sparse.csr_array) -> Floats:
    """Return roots of diag(C inv(H) C), shape (n,), in n^2 x 8 bytes; C = I - 1/n centres.

    Cholesky H = L L^T; column i of inv(L), squared and summed, is entry i of diag(inv(H)), which
    saves the third of the work that the full inverse would add. A sparse factor of a random
    comparison graph fills in almost wholly, so a dense one loses nothing.
    """
    lower, failure = lapack.dpotrf(hessian.toarray(order="F"), lower=1, overwrite_a=1)
    assert failure == 0, "virtual ties make the Hessian positive definite"
    inverse, _ = lapack.dtrtri(lower, lower=1, overwrite_c=1)
    with_mean = inverse.T @ inverse.mean(axis=1)
    variances = np.einsum("ki,ki->i", inverse, inverse) - 2.0 * with_mean + with_mean.mean()
    # A single image has strength 0 by definition; rounding may make its variance negative.
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)))
