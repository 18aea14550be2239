"""Facts about each task that are known before its module, and with it torch, is imported."""

from __future__ import annotations

TRAIN = "train"

WITHOUT_MODEL = ("prepare", "report")
"""Tasks that build neither model nor trainer; their targets, which import torch, are not read."""

TRAINING = (TRAIN, "audit")
"""Tasks that take optimizer steps."""

TRACKED = (TRAIN, "audit", "evaluate")
"""Tasks that are tracked by default."""

SHARED = (TRAIN, "audit", "evaluate", "rank")
"""Tasks that share their work among the processes of torchrun."""
