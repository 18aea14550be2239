"""The configuration of a finished run, where a later version reads it."""

from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from lmol.config import check
from lmol.config.saved import _over


def test_a_run_from_before_wandb_is_still_read() -> None:
    with initialize_config_module("lmol.conf", version_base="1.3"):
        values = compose("config", ["task=prepare", "tracking=offline"])
    saved = OmegaConf.create(OmegaConf.to_container(values, resolve=True))
    assert isinstance(saved, DictConfig)
    saved.tracking = {"mode": "off"}
    tracking = check(_over(values, saved, [])).tracking
    assert tracking.project == "lmol"


def test_where_a_run_was_tracked_is_no_matter_of_the_task_that_uses_it() -> None:
    with initialize_config_module("lmol.conf", version_base="1.3"):
        values = compose("config", ["task=prepare"])
        other = compose("config", ["tracking=online", "tracking.project=mine"])
    saved = OmegaConf.create(OmegaConf.to_container(other, resolve=True))
    assert isinstance(saved, DictConfig)
    tracking = check(_over(values, saved, [])).tracking
    assert (tracking.mode.value, tracking.project) == ("offline", "mine")
