"""Training of the tiny base's vision tower to predict the drawing parameters of drawn faces.

No data set contains these faces (their seeds are far away), and the targets are the drawing
parameters, never a score: the tower learns to see faces, like CLIP's, and not to judge them.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from multiprocessing import Pool

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from lmol.data.sources.faces import (
    FEATURES,
    FLAWS,
    SIGNED_NUISANCES,
    UNIT_NUISANCES,
    Parameters,
    draw_face,
    sample_faces,
)
from lmol.experiments.tiny_base.processor import IMAGE_SIZE, PATCH_SIZE, build_processor

log = logging.getLogger(__name__)

TRAINING_SEED, TEST_SEED = 7_000_000, 8_000_000
"""First seeds; each chunk of faces has the next one. Data sets use small seeds."""

CHUNK = 2500
"""Number of faces that a worker draws at a time."""

NUISANCE_WEIGHT = 0.1
"""Weight of colours, pose and light; proportions, expression, skin and symmetry have weight 1."""

HARD_WEIGHT = 3.0
"""Weight of `blemish`: the number of small spots is the hardest to see."""

DEGREES = {"low": -1.3, "middle": 0.0, "high": 1.3}
DEGREE_WIDTH = 0.8
"""Centres and width, in SDs of a parameter, of the bumps for its degrees low, middle and high.

With only values as targets, the tower predicts the parameters even better, but no direction of its
features stands for "average", the best value of some parameters, and a few hundred scored faces are
too few to learn it. With degrees, similar to the words that CLIP was trained on (small, average,
large eyes), a linear fit to 640 scores has a Pearson correlation of .95 instead of .93
(bench/tower.py).
"""

FEATURE_DROPOUT = 0.1
"""Spreads the information over many directions. Adapters that learn from a few hundred faces find
large directions but not small ones, even if ridge regression finds both: 13,000 steps without
dropout gave a better fit in bench/tower.py but a worse comparer (experiments/README.md)."""

PIXEL_NOISE = 0.03
"""SD of the noise added to normalised pixels."""

VISION = CLIPVisionConfig(
    hidden_size=160,
    intermediate_size=320,
    num_hidden_layers=6,
    num_attention_heads=4,
    image_size=IMAGE_SIZE,
    patch_size=PATCH_SIZE,
    hidden_act="gelu",
)
LAYER = -2
"""Index of the hidden state that LLaVA uses as features; the layer after it is not trained."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """Drawn faces with their targets.

    pixels: uint8 (N, height, width, 3). targets: float32 (N, K), with the columns `names`.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.float32]
    names: list[str]


def draw_faces(num: int, seed: int) -> Faces:
    """Draw `num` faces, a multiple of CHUNK, with their targets."""
    with Pool() as pool:
        chunks = pool.map(_draw_chunk, range(seed, seed + num // CHUNK))
    parameters = {
        name: np.concatenate([faces[name] for faces, _ in chunks]) for name in chunks[0][0]
    }
    targets = targets_of(parameters)
    return Faces(
        pixels=np.concatenate([pixels for _, pixels in chunks]),
        targets=np.stack(list(targets.values()), axis=1).astype(np.float32),
        names=list(targets),
    )


def _draw_chunk(seed: int) -> tuple[Parameters, NDArray[np.uint8]]:
    faces = sample_faces(CHUNK, seed)
    rows = ({name: float(values[k]) for name, values in faces.items()} for k in range(CHUNK))
    return faces, np.stack([np.asarray(draw_face(face, IMAGE_SIZE)) for face in rows])


def targets_of(faces: Parameters) -> Parameters:
    """Return the targets: the visible parameters, asymmetry with its side, and degrees."""
    seen = (*FEATURES, *FLAWS, *UNIT_NUISANCES, *SIGNED_NUISANCES)
    targets = {name: faces[name] for name in seen}
    targets["lean"] = faces["asymmetry"] * faces["side"]
    for name in (*FEATURES, *FLAWS):
        targets |= {f"{name}_{degree}": v for degree, v in degrees_of(faces[name]).items()}
    return targets


def degrees_of(values: NDArray[np.float64]) -> Parameters:
    """Return the degrees low, middle and high of each value among all (N,), in 0..1."""
    standard = (values - values.mean()) / values.std()
    return {
        degree: np.exp(-0.5 * ((standard - centre) / DEGREE_WIDTH) ** 2)
        for degree, centre in DEGREES.items()
    }


def target_weights(names: list[str]) -> Tensor:
    """Return the weight of each target's squared error, shape (K,)."""
    nuisances = {*UNIT_NUISANCES, *SIGNED_NUISANCES}
    return torch.tensor(
        [
            NUISANCE_WEIGHT if name in nuisances else HARD_WEIGHT if "blemish" in name else 1.0
            for name in names
        ]
    )


class Reader(nn.Module):
    """A CLIP vision tower with a linear head on its mean-pooled features."""

    def __init__(self, num_targets: int) -> None:
        super().__init__()
        self.tower = CLIPVisionModel(VISION)
        self.dropout = nn.Dropout(FEATURE_DROPOUT)
        self.head = nn.Linear(VISION.hidden_size, num_targets)
        positions = next(p for n, p in self.tower.named_parameters() if "position_embedding" in n)
        nn.init.normal_(positions, std=0.3)  # CLIP's smaller value learns positions slowly

    def forward(self, pixels: Tensor) -> Tensor:
        """Return standardised targets (B, K) of normalised pixels (B, 3, height, width)."""
        states = self.tower(pixels, output_hidden_states=True).hidden_states[LAYER]
        read: Tensor = self.head(self.dropout(states[:, 1:].mean(dim=1)))
        return read


def normalise(pixels: NDArray[np.uint8]) -> Tensor:
    """Return the processor's result for pictures of the right size, (B, 3, height, width)."""
    processor = build_processor().image_processor
    mean, std = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    return ((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2)


def train_tower(num_faces: int, num_steps: int, batch: int, peak_lr: float) -> CLIPVisionModel:
    """Regress the targets with AdamW and a one-cycle schedule; log R2 on test faces."""
    torch.manual_seed(0)
    faces, test = draw_faces(num_faces, TRAINING_SEED), draw_faces(CHUNK, TEST_SEED)
    mean, std = faces.targets.mean(0), faces.targets.std(0)
    targets = torch.from_numpy((faces.targets - mean) / std)
    reader, weights = Reader(len(faces.names)), target_weights(faces.names)
    optimizer = torch.optim.AdamW(reader.parameters(), peak_lr, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak_lr, total_steps=num_steps, pct_start=0.05
    )
    start = time.monotonic()
    for step in range(1, num_steps + 1):
        rows = torch.randint(num_faces, (batch,))
        pixels = normalise(faces.pixels[rows.numpy()])
        read = reader(pixels + PIXEL_NOISE * torch.randn_like(pixels))
        loss = (weights * (read - targets[rows]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == num_steps:
            scores = r_squared(reader, test, (test.targets - mean) / std)
            log.info("step %d, %.0f s, loss %.4f", step, time.monotonic() - start, loss.item())
            log.info("  R2 %s", ", ".join(f"{name} {r2:.3f}" for name, r2 in scores.items()))
    return reader.tower


def r_squared(reader: Reader, faces: Faces, targets: NDArray[np.float32]) -> dict[str, float]:
    """Return the explained share of variance of each standardised target."""
    reader.eval()
    with torch.inference_mode():
        batches = [reader(normalise(part)) for part in np.array_split(faces.pixels, 10)]
    reader.train()
    residuals = (torch.cat(batches).numpy() - targets) ** 2
    return dict(zip(faces.names, (1 - residuals.mean(0) / targets.var(0)).tolist(), strict=True))
