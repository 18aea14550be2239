"""4-bit on a CPU: train, evaluate, train on, with gradients all along."""

from itertools import pairwise

import torch

from lmol.evaluation.judge import judge
from lmol.training.callbacks import RunLog
from tests.tiny import build_tiny, tiny_backbone
from tests.training.parts import SHOWN, monitor_of, state_of, trainer_of


def test_a_4_bit_model_goes_on_learning_after_it_was_evaluated(faces, data, tmp_path):
    images, pairs = data
    comparer = build_tiny(tiny_backbone(dtype="bf16", quantization="nf4"))
    states = [state_of(comparer)]
    records: list[dict[str, float]] = []

    def validate(step):
        states.append(state_of(comparer))
        probabilities = judge(comparer, pairs, images, batch_pairs=8)
        assert abs(probabilities.sum(-1) - 1).max() < 1e-3
        return dict.fromkeys(SHOWN, 0.5)

    monitor = monitor_of(comparer, data[1], tmp_path, audit=("audit.interval=1",))
    trainer_of(
        comparer,
        data,
        tmp_path,
        validate=validate,
        callbacks=[RunLog(records.append)],
        monitor=monitor,
    ).train()
    assert monitor.close()["findings"] == []  # the 4-bit base is what it was, too
    assert len(states) == 3
    names = [name for name, p in comparer.named_parameters() if p.requires_grad]
    for before, after in pairwise(states):
        assert all(not torch.equal(before[name], after[name]) for name in names)
    norms = [record["grad_norm"] for record in records if "grad_norm" in record]
    assert len(norms) == 3
    assert min(norms) > 0
