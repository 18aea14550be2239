"""task=export: a trained model for use elsewhere, as a stock LLaVA or as adapter and projector."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from lmol.config import Config
from lmol.config.schema import ExportForm, Quantization
from lmol.model.device import require_device
from lmol.model.export import new_folder, write_merged
from lmol.tasks.evaluate import trained
from lmol.tasks.model_card import model_card
from lmol.tasks.train import seed_everything
from lmol.tracking.files import write_text
from lmol.tracking.past_runs import PastRun, one_run
from lmol.tracking.run_folder import RunFolder

log = logging.getLogger(__name__)


def run(config: Config, run: RunFolder) -> None:
    """Write the model with its card; a merged one is read back and compared first."""
    require_device(unquantized(config) if config.export.form is ExportForm.MERGED else config)
    seed_everything(config)
    past = one_run(config.run, None)
    folder = Path(config.export.folder or run.path / "model").absolute()
    run.note(run=str(past.path), checkpoint=config.checkpoint.value, model=str(folder))
    with new_folder(folder) as partial:
        if config.export.form is ExportForm.MERGED:
            write_stock_model(config, past, partial, run)
        else:
            write_adapter(config, past, partial)
    log.info("Exported: %s", folder)


def write_stock_model(config: Config, past: PastRun, folder: Path, run: RunFolder) -> None:
    """What LlavaForConditionalGeneration.from_pretrained loads without any code of ours."""
    kind = config.model.backbone.get("quantization")
    if kind != Quantization.NONE.value:
        log.info("Trained on %s: merging into the base as it is without quantisation", kind)
    comparer = trained(unquantized(config), past)
    prompt = comparer.prompt.text
    difference = write_merged(comparer, folder)
    run.note(largest_logit_difference=difference)
    log.info("Read back with stock classes: answer logits differ by at most %.1e", difference)
    write_text(folder / "README.md", model_card(config, past, prompt))


def unquantized(config: Config) -> Config:
    """The same recipe on the base without quantisation, into which alone weights can be merged."""
    backbone = {**config.model.backbone, "quantization": Quantization.NONE.value}
    return replace(config, model=replace(config.model, backbone=backbone))


def write_adapter(config: Config, past: PastRun, folder: Path) -> None:
    """The checkpoint after a check that it fits its base, with a card."""
    comparer = trained(config, past)
    shutil.copytree(past.checkpoint(config.checkpoint.value), folder, dirs_exist_ok=True)
    write_text(folder / "README.md", model_card(config, past, comparer.prompt.text))
