"""Run folders made by hand, with all that a report reads and nothing else."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from PIL import Image

from lmol.data.contents import content_hash

TITLES = ("First", "Second", "Similar")
IMAGES = ("a.png", "b.png", "c.png", "d.png")
SCORES = (1.0, 2.0, 3.0, 4.0)


def metrics(accuracy: float) -> dict[str, Any]:
    """Metrics that all follow from one number."""
    return {
        "accuracy": accuracy,
        "accuracy_similar": accuracy / 2,
        "order_consistency": 1.0 - accuracy / 10,
        "pearson": accuracy + 0.1,
        "spearman": accuracy + 0.05,
        "mae": 1.0 - accuracy,
        "ece": 0.05,
        "ece_calibrated": 0.04,
        "temperature": 1.2,
        "train_seconds": 61.0,
        "eval_seconds": 2.0,
    }


def manifest(name: str, fold: int, **changes: Any) -> dict[str, Any]:
    return {
        "status": "done",
        "error": None,
        "task": "train",
        "name": name,
        "fold": fold,
        "seed": 42 + fold,
        "git_commit": "0123456789abcdef",
        "git_dirty": False,
        "versions": {"lmol": "0.1.0", "torch": "2.13.0"},
        "python": "3.11.7",
        "platform": "Linux",
        "start": f"2026-11-2{fold}T10:00:00.000+00:00",
        "end": f"2026-11-2{fold}T10:01:00.000+00:00",
        "data_hash": "data",
        "split_hash": f"split {fold}",
        "health": {"steps": 60, "skipped_steps": 0, "findings": []},
        "peak_memory_bytes": 900_000_000,
        "peak_cuda_bytes": None,
        **changes,
    }


def make_run(
    path: Path,
    *,
    name: str = "default",
    fold: int = 1,
    accuracy: float = 0.8,
    lr: float = 1e-3,
    theta: float = 0.2,
    image: str = "a.png",
    **changes: Any,
) -> Path:
    """A finished run. image: name of the first image; changes: of the manifest."""
    for folder in ("diagnosis", "audit"):
        (path / folder).mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps(manifest(name, fold, cwd=str(path), **changes)))
    config = {
        "name": name,
        "fold": {"kind": "seeded", "index": fold, "k": 3},
        "data": {"theta": theta, "root": "pictures"},
        "optim": {"lr_lora": lr},
        "eval": {"pairs": "all"},
        "tracking": {"mode": "off"},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    (path / "metrics.json").write_text(json.dumps(metrics(accuracy)))
    _write_records(path)
    _write_tables(path, [image, *IMAGES[1:]])
    Image.new("RGB", (300, 200), "white").save(path / "audit" / "gradient_flow_step_1.png")
    Image.new("RGB", (300, 200), "white").save(path / "audit" / "gradient_flow_step_100.png")
    return path


def make_sweep(path: Path, accuracies: tuple[float, ...], **changes: Any) -> Path:
    """A sweep over folds 1, 2, ... with these accuracies."""
    for fold, accuracy in enumerate(accuracies, start=1):
        make_run(path / f"fold_{fold}", fold=fold, accuracy=accuracy, **changes)
    return path


def _write_records(path: Path) -> None:
    training = [{"step": s, "cross_entropy": 1.0 / s, "accuracy": 0.5} for s in (1, 2, 4, 8, 16)]
    validation = [{"step": 8, "eval_comparable_cross_entropy": 0.4, "eval_accuracy": 0.6}]
    lines = [json.dumps(record) for record in [*training, *validation]]
    (path / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 20, "cross_')


def _write_tables(path: Path, names: list[str]) -> None:
    pictures = path / "pictures"
    pictures.mkdir()
    files = [str(pictures / f"{place}.png") for place in range(len(names))]
    drawn = [Image.new("RGB", (20, 30), (60 * place, 90, 120)) for place in range(len(files))]
    for picture, file in zip(drawn, files[:-1], strict=False):
        picture.save(file)
    confusion = pd.DataFrame([[4, 1, 1], [0, 5, 1], [2, 1, 3]], TITLES, TITLES)
    groups = {"kind": ["within", "across"], "group": ["<b>x</b>", "<b>x</b>"], "other": ["", "y"]}
    images = {
        "image": names,
        "score": SCORES,
        "path": files,
        "content": [content_hash(one) for one in drawn],
    }
    tables = {
        "confusion.csv": confusion.rename_axis("label").reset_index(),
        "images.csv": pd.DataFrame({**images, "part": ["train", "train", "held_out", "held_out"]}),
        "ranking.csv": pd.DataFrame({**images, "estimate": [1.2, 1.9, 3.1, 3.6]}),
        "diagnosis/accuracy_by_gap.csv": pd.DataFrame(
            {"low": [0.0, 0.2], "high": [0.2, 0.6], "pairs": [6, 12], "accuracy": [0.5, 0.75]}
        ),
        "diagnosis/reliability.csv": pd.DataFrame(
            {
                "low": [0.0, 0.5],
                "high": [0.5, 1.0],
                "pairs": [0, 18],
                "confidence": [None, 0.8],
                "accuracy": [None, 0.7],
            }
        ),
        "diagnosis/subgroups.csv": pd.DataFrame(
            {**groups, "pairs": [6, 9], "accuracy": [0.5, 0.6], "mean_error": [0.1, None]}
        ),
        "diagnosis/hardest_pairs.csv": pd.DataFrame(
            {
                "img1": [names[0], names[2]],
                "img2": [names[1], names[3]],
                "score1": [1.0, 3.0],
                "score2": [2.0, 4.0],
                "label": ["Second", "Second"],
                "pred": ["First", "Similar"],
                "p_first": [0.9, 0.1],
                "p_second": [0.05, 0.1],
                "p_similar": [0.05, 0.8],
            }
        ),
    }
    for name, table in tables.items():
        table.to_csv(path / name, index=False)
