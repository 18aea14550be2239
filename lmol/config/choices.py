"""The settings that are a choice among names."""

from __future__ import annotations

from enum import Enum


class FoldKind(str, Enum):
    OFFICIAL = "official"
    SEEDED = "seeded"


class Quantization(str, Enum):
    NONE = "none"
    NF4 = "nf4"
    INT8 = "int8"


class Precision(str, Enum):
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Attention(str, Enum):
    EAGER = "eager"
    SDPA = "sdpa"
    FLASH_ATTENTION_2 = "flash_attention_2"


class ProjectorStart(str, Enum):
    FRESH = "fresh"
    PRETRAINED = "pretrained"


class PromptForm(str, Enum):
    CHAT = "chat"
    PLAIN = "plain"


class Schedule(str, Enum):
    COSINE = "cosine"
    COSINE_RESTARTS = "cosine_restarts"
    LINEAR = "linear"
    CONSTANT = "constant"


class ValidationMetric(str, Enum):
    ACCURACY = "accuracy"
    MACRO_F1 = "macro_f1"
    CROSS_ENTROPY = "cross_entropy"
    PEARSON = "pearson"


class AuditLevel(str, Enum):
    OFF = "off"
    DEFAULT = "default"
    FULL = "full"


class Severity(str, Enum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Action(str, Enum):
    LOG = "log"
    SKIP_STEP = "skip_step"
    LOWER_LR = "lower_lr"
    ROLLBACK = "rollback"
    STOP = "stop"


class TrackingMode(str, Enum):
    OFF = "off"
    OFFLINE = "offline"
    ONLINE = "online"


class CheckpointKind(str, Enum):
    BEST = "best"
    LAST = "last"


class Decoding(str, Enum):
    LOGITS = "logits"
    GENERATE = "generate"


class Pairing(str, Enum):
    ALL = "all"
    RANDOM = "random"
    ADAPTIVE = "adaptive"
    REFERENCE = "reference"


class ExportForm(str, Enum):
    MERGED = "merged"
    ADAPTER = "adapter"


class RunStatus(str, Enum):
    """State of a run or sweep: ended, ended with an error, or neither (at work, or killed)."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNFINISHED = "unfinished"
