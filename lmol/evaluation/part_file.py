"""Answer cache on disk, from which an interrupted judge continues.

A file is a header that identifies the judge and its questions, and one record per answer. Each
process appends to its own file and reads the files of all: their number may change.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from lmol.errors import RunFolderError

RECORD = np.dtype([("question", "<i8"), ("probabilities", "<f4", (3,))])
Floats = NDArray[np.float32]


class PartFile:
    """Answers to Q questions of one fingerprint; open it with `with`.

    folder: holds the files of any number of judges, each under its own fingerprint, so that answers
    of different checkpoints or lists of pairs are never mixed.
    """

    def __init__(self, folder: Path, fingerprint: str, process: int = 0) -> None:
        self._folder, self._fingerprint = folder, fingerprint
        self._header = f"lmol answers {fingerprint}\n".encode()
        self._path = folder / f"{fingerprint[:16]}.{process}.part"
        self._lock = FileLock(folder / f"{fingerprint[:16]}.{process}.lock")

    def __enter__(self) -> PartFile:
        """Open and lock this process's file.

        Raises RunFolderError if another command judges the same questions, or the folder is not
        writable.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
            self._cut_to_whole_records()
            self._file = self._path.open("ab")
        except Timeout:
            raise self._busy() from None
        except OSError as error:
            raise self._not_writable(error) from error
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._lock.release()

    def _cut_to_whole_records(self) -> None:
        """Remove an incomplete last record; start again if the header is missing or different."""
        whole = self._header + self._records(self._path).tobytes()
        if not self._path.is_file() or self._path.stat().st_size != len(whole):
            self._path.write_bytes(whole)

    def read(self, num_questions: int) -> tuple[NDArray[np.bool_], Floats]:
        """Return which of Q questions any process answered, shape (Q,), and the answers, (Q, 3)."""
        answered = np.zeros(num_questions, dtype=bool)
        answers = np.zeros((num_questions, 3), dtype=np.float32)
        for path in self._folder.glob(f"{self._fingerprint[:16]}.*.part"):
            records = self._records(path)
            answered[records["question"]] = True
            answers[records["question"]] = records["probabilities"]
        return answered, answers

    def append(self, questions: NDArray[np.int64], probabilities: Floats) -> None:
        """Add answers, and hand them to the operating system before returning."""
        records = np.empty(len(questions), dtype=RECORD)
        records["question"], records["probabilities"] = questions, probabilities
        self._file.write(records.tobytes())
        self._file.flush()

    def remove(self) -> None:
        """Remove the files of all processes; call it once the results are saved."""
        for path in self._folder.glob(f"{self._fingerprint[:16]}.*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # another evaluation's files are there, or it is gone
            self._folder.rmdir()

    def _records(self, path: Path) -> NDArray[np.void]:
        content = path.read_bytes() if path.is_file() else b""
        if not content.startswith(self._header):
            return np.empty(0, dtype=RECORD)
        body = content[len(self._header) :]
        return np.frombuffer(body, dtype=RECORD, count=len(body) // RECORD.itemsize)

    def _not_writable(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            self._folder,
            got=f"a folder that cannot be written to ({error.strerror})",
            expected="a place for the answers, from which a stopped evaluation continues",
            remedy="copy the run to a folder that you may write to, and name that with run=...",
        )

    def _busy(self) -> RunFolderError:
        return RunFolderError(
            self._path,
            got="a file that another command writes",
            expected="one command at a time that judges these pairs with this checkpoint",
            remedy="wait for the other command, or stop it; this one then continues",
        )
