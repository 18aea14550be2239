"""Statistics of the activations in one forward pass, taken by hooks that exist only for that pass.

Statistics stay on the device. Shares come from an evenly spread sample of at most SAMPLE numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.linalg import vector_norm

from lmol.model.names import EMBEDDING, PROJECTOR, layer_of, short_name

STATISTICS = ("rms", "max_abs", "share", "entropy")
SAMPLE = 2**16
"""Sample size of a share; its sampling error is about a fifth of a percentage point."""

SATURATED = 0.97
"""Share of the range of a sigmoid or tanh beyond which the slope is below 6 % of the largest."""

TAILS = {"gelu": -3.0, "quick_gelu": -3.5, "silu": -6.0}
"""Input below which the slope is less than 1.5 % of the slope at large inputs."""

KINDS: dict[str, str] = {
    "ReLU": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "GELU": "gelu",
    "GELUActivation": "gelu",
    "GELUTanh": "gelu",
    "NewGELUActivation": "gelu",
    "FastGELUActivation": "gelu",
    "QuickGELUActivation": "quick_gelu",
    "SiLU": "silu",
    "SiLUActivation": "silu",
}
"""Kind by the class name of a module; activations that are called as functions are not recorded."""

RESIDUAL = re.compile(r"(Decoder|Encoder)Layer$")
ATTENTION = re.compile(r"Attention$")
PROJECTED, TEXT = "projector_output", "text_embeddings"


Hook = Callable[[nn.Module, tuple[Any, ...], Any], None]


@dataclass(eq=False)
class Seen:
    """Record of one pass: rows of (kind, module's short name, layer) and their statistics."""

    rows: list[tuple[str, str, int | None]] = field(default_factory=list)
    statistics: list[Tensor] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def add(self, kind: str, name: str, states: Tensor, **known: Tensor) -> None:
        """Add one row: RMS and largest size of `states`, and the statistics given in `known`."""
        nothing = torch.full((), torch.nan, device=states.device)
        found = {"rms": _rms(states), "max_abs": _largest(states), **known}
        self.rows.append((kind, short_name(name), layer_of(name)))
        self.limits.append(torch.finfo(states.dtype).max)
        self.statistics.append(
            torch.stack([found.get(column, nothing).float() for column in STATISTICS])
        )

    def stacked(self, device: torch.device) -> Tensor:
        """Return the statistics (m, 4) of m rows."""
        if not self.statistics:
            return torch.zeros(0, len(STATISTICS), device=device)
        return torch.stack([row.to(device) for row in self.statistics])


class ActivationWatch:
    """Watch over the modules of a known kind during single forward passes.

    image_token: the token id whose embeddings are replaced by images, or None. Compiled modules and
    their submodules are left out: hooks would cause a recompilation.
    """

    def __init__(self, model: nn.Module, image_token: int | None, *, full: bool) -> None:
        self._seen = Seen()
        self._hooks = [
            (module, hook)
            for name, module in _visible(model)
            for hook in self._hooks_of(name, module, image_token, full=full)
        ]

    @contextmanager
    def looking(self) -> Iterator[Seen]:
        """Install the hooks while the block runs; remove them when it ends, also after an error."""
        self._seen = Seen()
        with ExitStack() as installed:
            for module, hook in self._hooks:
                installed.enter_context(module.register_forward_hook(hook))
            yield self._seen

    def _hooks_of(
        self, name: str, module: nn.Module, image_token: int | None, *, full: bool
    ) -> Iterator[Hook]:
        kind = type(module).__name__
        if kind in KINDS:
            known = KINDS[kind]
            yield _hook(lambda given, out: _activation(self._seen, known, name, given, out))
        elif RESIDUAL.search(kind):
            yield _hook(lambda given, out: self._seen.add("residual", name, _first(out)))
        elif PROJECTOR.fullmatch(name.rpartition("model.")[2]):
            yield _hook(lambda given, out: self._seen.add(PROJECTED, name, _first(out)))
        elif isinstance(module, nn.Embedding) and name.endswith(EMBEDDING):
            if image_token is not None:
                yield _hook(lambda given, out: _text(self._seen, name, given, out, image_token))
        elif full and ATTENTION.search(kind):
            yield _hook(lambda given, out: _attention(self._seen, name, out))


def _visible(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    if module._compiled_call_impl is not None:
        return
    yield name, module
    for child, inner in module.named_children():
        yield from _visible(inner, f"{name}.{child}" if name else child)


def _hook(look: Callable[[tuple[Any, ...], Any], None]) -> Hook:
    def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        with torch.no_grad():
            look(arguments, output)

    return hook


def _first(output: Any) -> Tensor:
    states = output[0] if isinstance(output, tuple) else output
    assert isinstance(states, Tensor)
    return states


def _rms(states: Tensor) -> Tensor:
    return vector_norm(states, dtype=torch.float32) / math.sqrt(max(states.numel(), 1))


def _largest(states: Tensor) -> Tensor:
    """Return the largest size; this is many times faster than the norm of infinite order."""
    return torch.stack(torch.aminmax(states)).abs().max()


def _sample(states: Tensor) -> Tensor:
    flat = states.flatten()
    return flat[:: max(1, flat.numel() // SAMPLE)].float()


def _activation(
    seen: Seen, kind: str, name: str, arguments: tuple[Any, ...], output: Tensor
) -> None:
    """Add a row; share: zeros of ReLU, saturated outputs of sigmoid and tanh, else flat inputs."""
    if kind == "relu":
        flat = _sample(output) == 0
    elif kind in TAILS:
        flat = _sample(arguments[0]) < TAILS[kind]
    else:
        sample = _sample(output)
        flat = sample.abs() > SATURATED
        if kind == "sigmoid":
            flat |= sample < 1 - SATURATED
    seen.add(kind, name, output, share=torch.count_nonzero(flat) / flat.numel())


def _text(
    seen: Seen, name: str, arguments: tuple[Any, ...], output: Tensor, image_token: int
) -> None:
    """Add the RMS of word embeddings only; projected images replace those of the image token."""
    words = (arguments[0] != image_token).unsqueeze(-1)
    sizes = torch.where(words, output, 0).float().square().sum()
    rms = (sizes / (words.sum() * output.shape[-1]).clamp(min=1)).sqrt()
    seen.add(TEXT, name, output, rms=rms)


def _attention(seen: Seen, name: str, output: Any) -> None:
    """Add the entropy of the last position's attention, as a share of the maximum; mean over heads.

    Attention weights (B, A, Q, K) are available only with eager attention.
    """
    weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
    if isinstance(weights, Tensor):
        last = weights[:, :, -1].float()
        entropy = torch.special.entr(last).sum(-1) / math.log(max(last.shape[-1], 2))
        seen.add("attention", name, output[0], entropy=entropy.mean())


def activation_table(seen: Seen, statistics: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return activation_table from Seen.stacked (m, 4). limit: largest number of the type."""
    kinds, names, layers = zip(*seen.rows, strict=True) if seen.rows else ((), (), ())
    return {
        "kind": np.array(kinds, dtype=object),
        "module": np.array(names, dtype=object),
        "layer": np.array(layers, dtype=object),
        **dict(zip(STATISTICS, statistics.T, strict=True)),
        "limit": np.array(seen.limits, dtype=float),
    }
