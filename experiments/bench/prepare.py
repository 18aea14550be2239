"""task=prepare at the size of SCUT-FBP5500: time and peak memory of its two parts.

    python -m lmol.experiments.bench.prepare --json rows.json

5,500 scores become ten pair files (5 x 45,000 and 5 x 604,450 rows); 5,500 generated JPEGs of
350 x 350 pixels are decoded once to find broken ones.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lmol.config import load_config
from lmol.data.folds import Split, split_folds
from lmol.data.images import check_images
from lmol.data.pairs import IntervalPairs
from lmol.data.preparation import pair_fold
from lmol.data.synthetic import SyntheticFaces
from lmol.tasks.prepare import save_pairs
from lmol.tracking.run_folder import RunFolder

NUM_IMAGES, NUM_PAIRS, SIZE = 5500, 45_000, 350


def scut_like_scores() -> pd.DataFrame:
    """A score table with the mean, SD and resolution (60 votes) of the data set's scores."""
    drawn = np.random.default_rng(0).normal(2.9909, 0.6881, NUM_IMAGES)
    scores = np.round(np.round(np.clip(drawn, 1, 5) * 60) / 60, 6)
    names = [f"AF{index}.jpg" for index in range(1, NUM_IMAGES + 1)]
    return pd.DataFrame({"image": names, "path": names, "score": scores, "group": "AF"})


def write_pairs(folder: Path) -> dict[str, Any]:
    """Seconds, rows and files of pairing all folds."""
    config = load_config("task=prepare", "fold.validation=0.1")
    schedule = IntervalPairs(num_pairs=NUM_PAIRS, num_intervals=10, near_ratio=0.5, near_band=0.15)
    source = SyntheticFaces(root=folder, num_images=10, image_size=16, seed=0)
    start = time.monotonic()
    with RunFolder.claim(folder / "run", config) as run:
        for split in split_folds(source, scut_like_scores(), config.fold):
            _pair(split, schedule, run, config)
    seconds = time.monotonic() - start
    files = sorted((folder / "run" / "pairs").iterdir())
    return {"part": "pairs", "files": len(files), "seconds": seconds, "peak_gb": _peak()}


def _pair(split: Split, schedule: IntervalPairs, run: RunFolder, config: Any) -> None:
    save_pairs(pair_fold(split, schedule, config), run)


def check_jpegs(folder: Path) -> dict[str, Any]:
    """Seconds to decode NUM_IMAGES photographs' worth of JPEG."""
    noise = np.random.default_rng(0).normal(128, 25, (SIZE // 5, SIZE // 5, 3)).clip(0, 255)
    picture = Image.fromarray(noise.astype(np.uint8)).resize((SIZE, SIZE))
    paths = [str(folder / f"{index}.jpg") for index in range(NUM_IMAGES)]
    for path in paths:
        picture.save(path, quality=90)
    start = time.monotonic()
    check_images(paths)
    seconds = time.monotonic() - start
    return {"part": "images", "files": NUM_IMAGES, "seconds": seconds, "peak_gb": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Print both rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [write_pairs(Path(folder)), check_jpegs(Path(folder))]
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.2f}".format))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
