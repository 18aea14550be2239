"""The real commands with a tiny random model of every family: train, kill, continue, use."""

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.bench.results import differing
from experiments.bench.tiny_families import write_tiny
from tests.forked import killed_in
from tests.tasks.conftest import SMALL
from tests.tasks.test_resume import STEP

SETTINGS = {
    "llava_onevision": ("llava_onevision_0_5b",),
    "qwen2_5_vl": ("qwen2_5_vl_3b", "model.backbone.image_size=56"),
    "qwen3_vl": ("qwen3_vl_2b", "model.backbone.image_size=64"),
    "internvl": ("internvl3_5_1b",),
    "smolvlm": ("smolvlm2_256m", "model.backbone.image_size=64"),
    "idefics3": ("smolvlm2_256m", "model.backbone.image_size=64"),
    "gemma3": ("gemma_3_4b",),
    "paligemma": ("paligemma_2_3b",),
}
QUICK = ("qwen3_vl", "paligemma")
"""Families of make test: positions in three dimensions, and no shared prefix."""


@pytest.fixture
def weights(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp(tiny)
    write_tiny(tiny, folder)
    return folder


@pytest.mark.parametrize(
    "tiny",
    [
        pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow], id=name)
        for name in SETTINGS
    ],
)
def test_a_family_is_trained_killed_continued_and_used(weights, command, tmp_path, tiny):
    option, *more = SETTINGS[tiny]
    model = (f"model={option}", f"model.backbone.weights={weights}", "model.backbone.dtype=fp32",
             "model.backbone.quantization=none", "model.cache_features=true",
             "data.question='Which face looks more attractive'", *more)  # fmt: skip
    trained = (*SMALL, *model, "train.save_every=1", "audit.interval=4")
    assert command(*trained, "hydra.run.dir=whole") == (0, "")
    killed_in(tmp_path, STEP, 5, *trained, "hydra.run.dir=run", after=True)
    assert command("resume=run") == (0, "")
    assert differing(Path("whole"), Path("run")) == []
    facts = json.loads(Path("run/manifest.json").read_text())
    assert facts["status"] == "done"
    groups = set(pd.read_csv("run/audit/grad_table_step_1.csv")["group"])
    assert groups == {"lora_A", "lora_B", "projector"}
    kinds = set(pd.read_csv("run/audit/activation_table_step_1.csv")["kind"])
    assert {"projector_output", "text_embeddings", "residual"} <= kinds
    images = pd.read_csv("run/images.csv")["path"]
    two = f"images=[{images[0]},{images[1]}]"
    assert command("task=compare", "run=run", two) == (0, "")
    assert command("task=rank", "run=run", "hydra.run.dir=ranked") == (0, "")
    assert len(pd.read_csv("ranked/ranking.csv")) > 2
    assert command("task=export", "run=run", "export.folder=merged") == (0, "")
    assert Path("merged/model.safetensors").is_file()
