"""The one part of the baselines that knows a vision-language model: how its weights are named."""

from __future__ import annotations

from lmol.config.schema import Attention, Precision, Quantization
from lmol.model.vlm.backbone import DTYPES as DTYPES
from lmol.model.vlm.backbone import LlavaBackbone


def located(weights: str) -> str:
    """Return the folder of pkg:// weights, and any other name as it is.

    Raises ValueError for a package that is not ours.
    """
    return LlavaBackbone(
        weights=weights,
        revision=None,
        dtype=Precision.FP32,
        quantization=Quantization.NONE,
        double_quantization=False,
        attention=Attention.SDPA,
    ).location
