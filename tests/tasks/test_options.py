"""Every option of model and training runs the whole job."""

import json
from pathlib import Path

import pytest

from tests.tasks.conftest import SMALL

OPTIONS = {
    "bf16": ["train.precision=bf16"],
    "nf4": ["model.backbone={quantization: nf4, dtype: bf16}", "train.precision=bf16"],
    "int8": ["model.backbone={quantization: int8, dtype: bf16}", "train.precision=bf16"],
    "recomputed activations": ["train.activation_checkpointing=true"],
    "pixels, read by workers": ["model.cache_features=false", "train.workers=2"],
    "the base's own projector": ["+ablation=pretrained_projector"],
    "plain prompt": ["model.prompt=plain"],
    "one order": ["+ablation=no_swap"],
    "restarts": ["optim.schedule=cosine_restarts", "optim.cycles=2"],
    "linear, accumulated": ["optim.schedule=linear", "train.accumulation=2"],
    "constant, unclipped": ["optim.schedule=constant", "optim.grad_clip=0"],
    "dynamic lambda": ["train.loss.consistency={start: 5, end: 2, ramp_ratio: 0.5}"],
    "uniform pairs": ["+ablation=no_interval_sampling"],
    "sampled evaluation": ["eval.pairs=30"],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_main_job_runs_with(command, name):
    code, told = command(*SMALL, "data.schedule.num_pairs=48", *OPTIONS[name], "hydra.run.dir=run")
    assert (code, told) == (0, "")
    assert json.loads(Path("run/manifest.json").read_text())["status"] == "done"
    assert json.loads(Path("run/metrics.json").read_text())["pairs"] in (66, 30)
