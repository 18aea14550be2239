"""task=compare: decide which of two images is better."""

from __future__ import annotations

from rich import get_console

from lmol.config import Config
from lmol.errors import DataError
from lmol.evaluation.figures import save
from lmol.inference.comparer import ImageComparer
from lmol.model.device import require_device
from lmol.runs.past_runs import one_run
from lmol.runs.run_folder import RunFolder
from lmol.workflow.session import seed_everything, trained_model
from lmol.workflow.tables import table_of_comparison


def run(config: Config, run: RunFolder) -> None:
    """Print the answer; write it as comparison.json and as a picture."""
    require_device(config)
    first, second = two_images(config.images)
    seed_everything(config)
    past = one_run(config.run)
    model, _ = trained_model(config, past)
    comparer = ImageComparer(model, ranking=config.ranking, judging=config.eval)
    comparison = comparer.compare(first, second)
    answer = {"first": first, "second": second, "verdict": comparison.verdict.title}
    run.note(run=str(past.path), checkpoint=config.checkpoint.value)
    run.write_json("comparison.json", {**answer, **comparison.probabilities})
    save(comparison.figure(), run.folder("plots") / "comparison.png")
    get_console().print(table_of_comparison(comparison))


def two_images(images: str | list[str] | None) -> tuple[str, str]:
    """Return the two files; raise DataError for any other number."""
    named = [images] if isinstance(images, str) else images or []
    if len(named) != 2:
        raise DataError(
            "images",
            got=f"{len(named)} images" if len(named) != 1 else f"one image, {named[0]}",
            expected="two images to compare",
            remedy="name two, 'images=[a.jpg,b.jpg]'; task=rank takes many",
        )
    return named[0], named[1]
