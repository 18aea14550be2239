"""What an offline run of W&B has written, read back from its file.

wandb 0.31 ships the messages (wandb.proto) but no reader in Python. The file is a LevelDB log: a
header of 7 bytes, then blocks of 32 KiB with records of 4 bytes checksum, 2 bytes length, 1 byte
kind and the content; a message may span several records, and so blocks.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as messages

FILE_HEADER, BLOCK = 7, 2**15
RECORD_HEADER = struct.Struct("<LHB")
WHOLE, LAST = 1, 4


@dataclass
class StoredRun:
    """One W&B run: its messages in the order in which they were written."""

    folder: Path
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None

    @property
    def files(self) -> Path:
        """Where its pictures and tables are."""
        return self.folder / "files"

    def records(self) -> list[dict[str, Any]]:
        """Its history without W&B's own keys."""
        return [{k: v for k, v in row.items() if k[0] != "_"} for row in self.history]

    def one(self, key: str) -> Any:
        """The one value of the history under a key."""
        [value] = [row[key] for row in self.history if key in row]
        return value


def stored_runs(folder: Path) -> list[StoredRun]:
    """Those in a run folder, in the order in which they were made."""
    files = (folder / "wandb").glob("offline-run-*/*.wandb")
    return [_stored(file) for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]


def stored_run(folder: Path) -> StoredRun:
    """The only one in a run folder."""
    [run] = stored_runs(folder)
    return run


def _stored(file: Path) -> StoredRun:
    stored = StoredRun(file.parent)
    for content in _contents(file.read_bytes()):
        record: Any = messages.Record.FromString(content)  # type: ignore[attr-defined]
        match record.WhichOneof("record_type"):
            case "run":
                stored.run = record.run
                stored.config |= _values(record.run.config.update)
            case "config":
                stored.config |= _values(record.config.update)
            case "history":
                stored.history.append(_values(record.history.item))
            case "summary":
                stored.summary |= _values(record.summary.update)
            case "metric":
                stored.metrics.append(record.metric)
            case "artifact":
                stored.artifacts.append(record.artifact)
            case "exit":
                stored.exit_code = record.exit.exit_code
    return stored


def _contents(data: bytes) -> Iterator[bytes]:
    assert data.startswith(b":W&B")
    place, content = FILE_HEADER, b""
    while place + RECORD_HEADER.size <= len(data):
        left = BLOCK - place % BLOCK
        if left < RECORD_HEADER.size:
            place += left
            continue
        _, length, kind = RECORD_HEADER.unpack_from(data, place)
        place += RECORD_HEADER.size
        content += data[place : place + length]
        place += length
        if kind in (WHOLE, LAST):
            yield content
            content = b""


def _values(items: Iterable[Any]) -> dict[str, Any]:
    """By key; a nested key leads into a dictionary."""
    values: dict[str, Any] = {}
    for item in items:
        *groups, key = item.nested_key or [item.key]
        holder = values
        for group in groups:
            holder = holder.setdefault(group, {})
        holder[key] = json.loads(item.value_json)
    return values
