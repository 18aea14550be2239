"""The user's mistakes: where it is, what was found, what was expected, and what to do about it."""

from __future__ import annotations

from functools import partial


class LmolError(Exception):
    """A user's mistake, reported in one or two lines; the command ends with exit code 2.

    Every message has the same four parts, so that no part is forgotten. status: of a run that it
    ends, in the manifest.
    """

    status = "failed"

    def __init__(self, where: object, *, got: object, expected: str, remedy: str) -> None:
        self.where, self.got, self.expected, self.remedy = str(where), str(got), expected, remedy
        super().__init__(f"{where}: got {got}; expected {expected}.\n  -> {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword-only parts survive pickling, which a launcher with worker processes needs."""
        parts = {"got": self.got, "expected": self.expected, "remedy": self.remedy}
        return partial(type(self), **parts), (self.where,)


class DataError(LmolError):
    """Images, score tables, fold lists or pairs."""


class ModelError(LmolError):
    """Base weights, prompt, answer words, adapter targets."""


class CheckpointError(LmolError):
    """A checkpoint folder that does not fit the model that it is loaded into."""


class StateError(LmolError):
    """A training state that cannot be continued."""


class TrainingError(LmolError):
    """Training that cannot go on, such as a non-finite loss."""


class HealthError(TrainingError):
    """A run that was stopped because it no longer learns, or never would."""

    status = "failed: health"


class DiskError(LmolError):
    """A disk that is full, over its quota, or read-only."""


class RunFolderError(LmolError):
    """A run folder that exists already, or is not a run folder."""


class ConfigError(LmolError):
    """All problems of one configuration, reported together."""

    def __init__(self, problems: list[LmolError]) -> None:
        self.problems = problems
        Exception.__init__(self, "\n".join(str(problem) for problem in problems))

    def __reduce__(self) -> tuple[object, ...]:
        return ConfigError, (self.problems,)
