"""Export of a trained comparer as a stock folder that does not need LMOL's code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText

from lmol.errors import ModelError
from lmol.model.vlm.projector import LMOLProjector

if TYPE_CHECKING:
    from lmol.model.vlm.comparer import Comparer

TANH_GELU = "gelu_pytorch_tanh"
TOLERANCE = 1e-4
"""Largest difference of a logit in fp32 between a comparer and its export."""

HALF_TOLERANCE = 0.05
"""Largest difference of an answer's probability in half precision, which rounds merged weights."""

PROBES = 8
"""Number of pairs of random pictures for the comparison of both."""


def write_merged(comparer: Comparer, folder: Path) -> tuple[Tensor, Tensor]:
    """Merge adapters and projector into the base and write it with its processor.

    Returns answer logits (PROBES, 3) of the comparer, and of the folder read back with stock
    classes. The comparer cannot be used afterwards. Raises ModelError if they differ by more than
    rounding.
    """
    pixels = _probe_pictures(comparer)
    expected = _answered(comparer.eval(), pixels)
    base = comparer.base
    merged: Any = comparer.adapted.merge_and_unload()
    if isinstance(base.projector, LMOLProjector):
        merged.config.projector_hidden_act = TANH_GELU
    dtype = base.embedding_dtype
    merged.to(dtype).save_pretrained(folder)
    base.processor.save_pretrained(folder)
    merged.to("meta")  # at 7B, two copies would not fit into the memory
    stock = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).eval()
    found = _answered_by_stock(stock, comparer, pixels)
    _require_equal(expected, found, dtype)
    return expected, found


@torch.inference_mode()
def _answered(comparer: Comparer, pixels: Tensor) -> Tensor:
    """Return answer logits (PROBES, 3) to pictures (PROBES, 2, ...)."""
    logits: Tensor = comparer(pixel_values=pixels.to(comparer.device), both_orders=False)
    return logits[:, 0].cpu()


@torch.inference_mode()
def _answered_by_stock(stock: Any, comparer: Comparer, pixels: Tensor) -> Tensor:
    prompt = comparer.prompt
    ids = prompt.input_ids.expand(len(pixels), -1).to(stock.device)
    shown = comparer.base.stock_images(pixels.to(stock.device, stock.dtype))
    output = stock(input_ids=ids, logits_to_keep=1, **shown, **comparer.kinds(ids))
    return output.logits[:, -1, list(prompt.answer_ids)].float().cpu()


def _probe_pictures(comparer: Comparer) -> Tensor:
    shape = comparer.base.pixels([comparer.base.blank]).shape[1:]
    return torch.randn(PROBES, 2, *shape, generator=torch.Generator().manual_seed(0))


def _require_equal(expected: Tensor, found: Tensor, dtype: torch.dtype) -> None:
    exact = dtype == torch.float32
    one, other = (expected, found) if exact else (expected.softmax(-1), found.softmax(-1))
    difference = float((one - other).abs().max())
    if difference > (TOLERANCE if exact else HALF_TOLERANCE):
        raise ModelError(
            "export",
            got=f"a merged model whose {'logits' if exact else 'probabilities'} differ by "
            f"{difference:.1e}",
            expected="the answers of the trained model",
            remedy="export only the adapter: export.form=adapter",
        )
