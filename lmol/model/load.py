"""The load of a training: memory and work."""

from __future__ import annotations

from dataclasses import dataclass

TRAINED_BYTES = 16
"""Bytes of a trained number: weight, gradient and two moments, in fp32."""

MARGIN = 1.5
"""Peak of a step's activations on a CPU, as a multiple of what the backward pass keeps.

Measured at two shapes: 1.49 and 1.44 (experiments/README.md); the remainder is what the backward
pass computes in between, and fragments.
"""


@dataclass(frozen=True, kw_only=True)
class Load:
    """The load of a training. weights: bytes at rest. trained: number of trained numbers.

    activations: bytes that the forward of a pair, both orders, keeps; recomputed: if each layer is
    computed again in the backward pass. tokens: of a prompt. flop: floating-point operations of a
    step for a pair, without the vision tower.
    """

    parameters: int
    trained: int
    tokens: int
    weights: int
    activations: int
    recomputed: int
    flop: int

    @property
    def at_rest(self) -> int:
        """Return the bytes of weights, gradients and moments."""
        return self.weights + TRAINED_BYTES * self.trained

    def step_bytes(self, batch_pairs: int, *, recompute: bool) -> int:
        """Return the bytes of a step with so many pairs at once."""
        a_pair = self.recomputed if recompute else self.activations
        return self.at_rest + int(MARGIN * batch_pairs * a_pair)
