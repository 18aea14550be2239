"""load_config beside a Hydra that belongs to the notebook which calls it."""

import logging
import os
import random
import warnings
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.version import getbase

from lmol.config import load_config
from lmol.errors import ConfigError, LmolError


def host_state() -> tuple[object, ...]:
    root = logging.getLogger()
    logs = (root.level, list(root.handlers), root.disabled)
    return (*logs, list(warnings.filters), random.getstate(), Path.cwd(), dict(os.environ))


def test_the_hydra_of_a_notebook_stays_as_it_was(tmp_path):
    (tmp_path / "mine.yaml").write_text("value: 3\n")
    load_config()  # the first call imports libraries, which add warning filters
    with initialize_config_dir(str(tmp_path), version_base="1.2"):
        hydra, base, state = GlobalHydra.instance().hydra, getbase(), host_state()
        assert load_config("seed=7").seed == 7
        assert GlobalHydra.instance().hydra is hydra
        assert (getbase(), host_state()) == (base, state)
        assert compose("mine").value == 3
    load_config()
    assert not GlobalHydra.instance().is_initialized()


def test_a_choice_that_hydra_cannot_compose_is_the_users_mistake_here_too():
    with pytest.raises(LmolError, match=r"model: got 'tinny'; expected one of .*tiny"):
        load_config("model=tinny")
    with pytest.raises(LmolError, match=r"data\.theta: got \$\{nothing\}"):
        load_config("data.theta=${nothing}")


@pytest.mark.parametrize("name", ["ridge", "pairwise_head"])
def test_a_baseline_is_never_the_model_of_a_recipe(name) -> None:
    recipe, baseline = "+recipe=scut_llava", f"+baseline={name}"
    found = load_config(recipe, baseline, "data.root=/somewhere")
    assert found.model["_target_"] == load_config(f"model={name}").model["_target_"]
    with pytest.raises(ConfigError, match=r"model\.backbone: got an unknown key"):
        load_config(baseline, recipe, "data.root=/somewhere")
