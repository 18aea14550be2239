"""task=export: write a trained model as a stock LLaVA, or as adapter and projector."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lmol.config import Config
from lmol.config.schema import ExportForm, Quantization
from lmol.errors import ModelError
from lmol.evaluation.answers import Floats
from lmol.evaluation.figures import GREY, save, titled
from lmol.model.device import require_device
from lmol.model.pair_model import Exportable, PairModel
from lmol.runs.past_runs import PastRun, one_run
from lmol.runs.run_folder import RunFolder
from lmol.system.disk import require_space
from lmol.system.files import follow_umask, write_text
from lmol.verdict import Verdict
from lmol.workflow.model_card import model_card
from lmol.workflow.session import seed_everything, trained_model

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> None:
    """Write the model with its card; a merged model is read back and compared first."""
    require_device(unquantized(config) if config.export.form is ExportForm.MERGED else config)
    seed_everything(config)
    past = one_run(config.run)
    named = config.export.folder
    folder = run.path / "model" if named is None else Path(named).absolute()
    run.note(run=str(past.path), checkpoint=config.checkpoint.value, model=str(folder))
    with new_folder(folder) as partial:
        if config.export.form is ExportForm.MERGED:
            write_stock_model(config, past, partial, run)
        else:
            write_adapter(config, past, partial)
    log.info("Exported: %s", folder)


def write_stock_model(config: Config, past: PastRun, folder: Path, run: RunFolder) -> None:
    """Write a folder that LlavaForConditionalGeneration.from_pretrained loads as it is."""
    kind = (config.model.get("backbone") or {}).get("quantization")
    if kind != Quantization.NONE.value:
        log.info("Trained on %s: merging into the base as it is without quantisation", kind)
    model, _ = trained_model(unquantized(config), past)
    size = sum(weight.nbytes for weight in model.parameters())
    require_space(folder, size, "the merged model")
    exportable = require_exportable(model)
    prompt = exportable.prompt_text
    expected, found = exportable.write_stock(folder)
    difference = float((found - expected).abs().max())
    plot_agreement(expected.numpy(), found.numpy(), run.folder("plots") / "export.png")
    run.note(largest_logit_difference=difference)
    log.info("Read back with stock classes: answer logits differ by at most %.1e", difference)
    write_text(folder / "README.md", model_card(config, past, prompt))


def plot_agreement(expected: Floats, found: Floats, path: Path) -> None:
    """Draw the logits of both models for the same pictures by answer; shape (pairs, 3) each."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.subplots()
    ends = (min(expected.min(), found.min()), max(expected.max(), found.max()))
    axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1.0)
    for verdict, marker in zip(Verdict, "os^", strict=True):
        shown = expected[:, verdict], found[:, verdict]
        axes.plot(*shown, marker, label=verdict.title, alpha=0.8)
    axes.legend(frameon=False)
    difference = float(np.abs(found - expected).max())
    title = f"Logits differ by at most {difference:.1e}"
    titled(axes, title, "trained comparer", "exported, read back by stock LLaVA")
    save(figure, path)


def unquantized(config: Config) -> Config:
    """Return the recipe with the base without quantisation; merging needs that base."""
    if "backbone" not in config.model:
        return config
    backbone = {**config.model["backbone"], "quantization": Quantization.NONE.value}
    return replace(config, model={**config.model, "backbone": backbone})


def write_adapter(config: Config, past: PastRun, folder: Path) -> None:
    """Check that the checkpoint fits its base, and copy it with a card."""
    model = require_exportable(trained_model(config, past)[0])
    shutil.copytree(past.checkpoint(config.checkpoint.value), folder, dirs_exist_ok=True)
    write_text(folder / "README.md", model_card(config, past, model.prompt_text))


def require_exportable(model: PairModel) -> Exportable:
    """Return the model; raise ModelError if other programs cannot load its kind."""
    if isinstance(model, Exportable):
        return model
    raise ModelError(
        "task=export",
        got=type(model).__name__,
        expected="a model that stock classes load",
        remedy="use its checkpoint with load_comparer, which needs no export",
    )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`, and rename it to `folder` if the block succeeds.

    Raises ModelError if `folder` exists.
    """
    if folder.exists():
        raise ModelError(
            "export.folder",
            got=f"{folder}, which exists",
            expected="a new folder: nothing is overwritten",
            remedy="choose another with export.folder=..., or leave it out",
        )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        follow_umask(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
