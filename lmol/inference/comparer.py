"""User interface of a trained model: compare two images, and rank many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from lmol.config.schema import EvalConfig, RankingConfig
from lmol.data.images import Picture, open_rgb
from lmol.data.pictures import picture_table
from lmol.errors import DataError
from lmol.evaluation.answers import average_orders
from lmol.evaluation.judge import Judge
from lmol.evaluation.metrics import order_consistency
from lmol.evaluation.ranked import Validation
from lmol.inference.comparison import Comparison
from lmol.inference.ranking import RankedImages, Ranker
from lmol.model.features import PixelImages
from lmol.model.pair_model import PairModel
from lmol.model.references import References
from lmol.verdict import Verdict, most_probable

Pictures = Picture | Sequence[Picture] | pd.DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class ImageComparer:
    """Comparer of images, given as paths, PIL images or arrays; it also ranks them.

    model: a trained one. references: images of known score, from which scores are estimated; with
    None a ranking has no estimates. validation: see Ranker.
    """

    model: PairModel
    _: KW_ONLY
    ranking: RankingConfig
    judging: EvalConfig
    references: References | None = None
    validation: Validation | None = None

    def compare(self, first: Picture, second: Picture) -> Comparison:
        """Compare two images in both orders. Raises DataError if one of them is no image."""
        images = pd.concat([picture_table([first]), picture_table([second])], ignore_index=True)
        store = PixelImages(self.model.encoder.preprocess, images.assign(image=["first", "second"]))
        judge = Judge(self.model, ["first", "second"], store, batch_pairs=2)
        probabilities = judge.compare(np.array([0]), np.array([1]))
        [averaged] = average_orders(probabilities)
        return Comparison(
            first=_name(first, "first"),
            second=_name(second, "second"),
            verdict=Verdict(int(most_probable(averaged[None])[0])),
            p_first=float(averaged[Verdict.FIRST]),
            p_second=float(averaged[Verdict.SECOND]),
            p_similar=float(averaged[Verdict.SIMILAR]),
            consistent=order_consistency(probabilities) == 1.0,
            pictures=(open_rgb(first), open_rgb(second)),
        )

    def rank(self, images: Pictures, *, seed: int = 42, **settings: Any) -> RankedImages:
        """Rank images from best to worst.

        images: a folder, a CSV file, a DataFrame with the column image, or a list of pictures.
        settings: any of the config group ranking, such as pairing="all", pairs_per_image=30, or
        pairing="reference"; with the last, the rank of an image does not depend on the other ranked
        images. Raises DataError.
        """
        ranker = Ranker(
            model=self.model,
            settings=self._chosen(settings),
            judging=self.judging,
            seed=seed,
            references=self.references,
            validation=self.validation,
        )
        return ranker.rank(picture_table(images))

    def _chosen(self, settings: dict[str, Any]) -> RankingConfig:
        try:
            return replace(self.ranking, **settings)
        except (ValidationError, TypeError) as error:
            raise DataError(
                "rank",
                got=", ".join(f"{name}={value!r}" for name, value in settings.items()),
                expected=f"settings of the config group ranking ({', '.join(vars(self.ranking))})",
                remedy="see conf/ranking/default.yaml and lmol/config/results.py for their values",
            ) from error


def _name(picture: Picture, otherwise: str) -> str:
    return str(picture) if isinstance(picture, str | Path) else otherwise
