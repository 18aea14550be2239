"""What is known about each task before its module, and with it torch, is imported."""

from __future__ import annotations

TRAIN = "train"

WITHOUT_MODEL = ("prepare", "report")
"""Tasks that build neither model nor trainer: their targets, which import torch, stay unread."""

TRAINING = (TRAIN, "audit")
"""Tasks that take optimizer steps."""

TRACKED = (TRAIN, "audit", "evaluate")
"""Tasks that are tracked unless the user says otherwise."""

SHARED = (TRAIN, "audit", "evaluate", "rank")
"""Tasks whose work is spread over the processes of torchrun."""
