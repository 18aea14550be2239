"""task=prepare at the size of SCUT-FBP5500: wall seconds and peak memory of the real command.

    python -m lmol.experiments.bench.prepare --json rows.json

The folder is generated in the release's layout: 5,500 JPEGs of 350 x 350 pixels, scores of 60
votes, five official lists. The command decodes every image once and writes ten files of pairs, with
5 x 45,000 and 5 x 604,450 rows.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from lmol.data.sources.scut_copy import FOLDS, LISTS
from lmol.experiments.bench.command import peak_gb, run_command
from lmol.experiments.bench.report import Row, add_options, report

NUM_IMAGES, SIZE = 5500, 350
MEAN, SD, VOTES = 2.9909, 0.6881, 60


def write_release(root: Path) -> None:
    """Write images and lists in the release's layout; scores with its mean, SD and resolution."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(MEAN, SD, NUM_IMAGES).clip(1, 5)
    names = [f"AF{index}.jpg" for index in range(1, NUM_IMAGES + 1)]
    lines = [
        f"{name} {round(score * VOTES) / VOTES:.6f}\n"
        for name, score in zip(names, drawn, strict=True)
    ]
    write_images(root / "Images", names, rng)
    for fold in range(1, 6):
        folder = root / FOLDS / f"cross_validation_{fold}"
        folder.mkdir(parents=True)
        train = [line for index, line in enumerate(lines) if index % 5 != fold - 1]
        (folder / f"train_{fold}.txt").write_text("".join(train))
        (folder / f"test_{fold}.txt").write_text("".join(lines[fold - 1 :: 5]))
    (root / LISTS / "All_labels.txt").write_text("".join(lines))


def write_images(folder: Path, names: list[str], rng: np.random.Generator) -> None:
    """Write a different noise image for each name; equal images would be refused as a leak."""
    folder.mkdir(parents=True)
    for name in names:
        coarse = rng.normal(128, 25, (SIZE // 5, SIZE // 5, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE)).save(folder / name, quality=90)


def prepare(root: Path, target: Path) -> Row:
    """Run the command; return its wall seconds, files, rows and peak memory."""
    settings = ("+recipe=scut_llava", f"data.root={root}", f"hydra.run.dir={target}")
    seconds = run_command("task=prepare", *settings)
    files = list((target / "pairs").iterdir())
    return {
        "command": "task=prepare",
        "files": len(files),
        "rows": sum(int(path.stem.rsplit("_", 1)[1]) for path in files),
        "seconds": seconds,
        "peak_gb": peak_gb(target),
    }


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, "prepare")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "SCUT-FBP5500_v2"
        write_release(root)
        row = prepare(root, Path(folder) / "run")
    report([row], arguments, "command", ["seconds", "peak_gb"])


if __name__ == "__main__":
    main()
