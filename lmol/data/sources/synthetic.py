"""The embedded data set: drawn faces with the scores of simulated raters.

A latent score is a smooth function of proportions, expression, skin texture and symmetry; 60 raters
with biases and noise vote 1 to 5, and their mean is the score, as in SCUT-FBP5500. Colours, hair,
pose and light do not move it, nor do the groups, which are made of hair alone: subgroup metrics
have a known answer, no difference.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from lmol.data.data_set import DataSet
from lmol.data.sources.faces import Parameters, draw_face, sample_faces
from lmol.errors import DataError
from lmol.system.disk import disk_error

NUM_RATERS = 60
RATER_BIAS_SD = 0.35
"""Standard deviation of a rater's leniency, in points of score."""
VOTE_NOISE_SD = 0.55
"""Standard deviation of the noise of a single vote, in points of score."""

PARAMETERS = "parameters.csv"


@dataclass(frozen=True, kw_only=True)
class SyntheticFaces:
    """Source of `num_images` faces of image_size x image_size pixels, drawn once below `root`."""

    root: Path
    num_images: Annotated[int, Field(ge=10)]
    image_size: Annotated[int, Field(ge=16, le=1024)]
    seed: Annotated[int, Field(ge=0)]

    def load(self) -> DataSet:
        """Return images with score and group; draw the faces if they are not there yet."""
        if not (self.folder / PARAMETERS).is_file():
            self._draw_once()
        table = pd.read_csv(self.folder / PARAMETERS)
        paths = [str(self.folder / name) for name in table["image"]]
        images = pd.DataFrame(
            {
                "image": table["image"].astype(str),
                "path": paths,
                "score": table["score"],
                "group": table["group"].astype(str),
            }
        )
        return DataSet(images=images)

    @property
    def folder(self) -> Path:
        """Return a folder below root, named by all that decides pixels and scores, also code."""
        name = f"{self.num_images}_{self.image_size}px_seed{self.seed}_{_code_hash()}"
        return Path(self.root).absolute() / name

    def _draw_once(self) -> None:
        """Draw into a temporary folder, then move it: another process may do the same."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".drawing_", dir=self.folder.parent) as own:
                self._draw(Path(own) / "faces")
                self._move(Path(own) / "faces")
        except OSError as error:
            raise disk_error(error, self.folder) or DataError(
                "data.root",
                got=f"{self.root}, below which faces could not be drawn ({error})",
                expected="a folder that is writable, or can be made",
                remedy=f"choose another, or delete {self.folder} if it is damaged",
            ) from error

    def _move(self, own: Path) -> None:
        try:
            own.rename(self.folder)
        except OSError:
            if not (self.folder / PARAMETERS).is_file():
                raise

    def _draw(self, own: Path) -> None:
        own.mkdir()
        faces = sample_faces(self.num_images, self.seed)
        names = [f"face{index:05d}.png" for index in range(self.num_images)]
        for index, name in enumerate(names):
            face = {key: float(values[index]) for key, values in faces.items()}
            draw_face(face, self.image_size).save(own / name, compress_level=1)
        scored_table(names, faces, self.seed).to_csv(own / PARAMETERS, index=False)


def scored_table(names: list[str], faces: Parameters, seed: int) -> pd.DataFrame:
    """Return all parameters of the faces with their latent score, score and group."""
    latent = latent_score(faces)
    rng = np.random.default_rng([seed, 1])
    return pd.DataFrame(
        {
            "image": names,
            "score": rate(latent, rng),
            "latent": latent,
            "group": groups(faces),
            **faces,
        }
    )


def latent_score(faces: Parameters) -> NDArray[np.float64]:
    """Return the score in 1..5 that a perfect rater would give, shape (num,)."""
    merit = (
        0.80 * (_bump(faces["face_ratio"], 0.25, 0.65) - 0.65)
        + 0.55 * faces["jaw"]
        + 0.85 * np.tanh(1.3 * faces["eye_size"])
        + 0.60 * (_bump(faces["eye_dist"], 0.15, 0.60) - 0.70)
        + 0.25 * faces["eye_tilt"]
        - 0.45 * faces["nose_width"]
        + 0.45 * (_bump(faces["nose_length"], -0.25, 0.65) - 0.70)
        + 0.35 * faces["lip_fullness"]
        + 0.60 * np.tanh(1.2 * faces["smile"])
        - 1.3 * (faces["blemish"] - 0.43)
        - 1.3 * (faces["asymmetry"] - 0.41)
        + 0.25 * faces["eye_size"] * faces["smile"]
    )
    return 1 + 4 / (1 + np.exp(-0.9 * (merit - 0.05)))


def rate(latent: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the mean of NUM_RATERS whole votes in 1..5 on each of the latent scores (num,)."""
    leniency = rng.normal(0, RATER_BIAS_SD, NUM_RATERS)
    noise = rng.normal(0, VOTE_NOISE_SD, (len(latent), NUM_RATERS))
    votes = np.clip(np.round(latent[:, None] + leniency + noise), 1, 5)
    return np.round(votes.mean(axis=1), 6)


def groups(faces: Parameters) -> NDArray[np.str_]:
    """Return long_dark, long_light, short_dark or short_light: length and lightness of the hair."""
    length = np.where(faces["hair_length"] > 0.5, "long", "short")
    lightness = np.where(faces["hair_value"] > 0.5, "light", "dark")
    return np.char.add(np.char.add(length, "_"), lightness)


def _bump(x: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float64]:
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def _code_hash() -> str:
    code = b"".join((Path(__file__).with_name(f"{name}.py")).read_bytes() for name in SOURCES)
    return hashlib.sha256(code).hexdigest()[:8]


SOURCES = ("faces", "synthetic")
