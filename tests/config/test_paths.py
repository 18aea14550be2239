"""One function reads every setting that names a file or folder."""

from pathlib import Path

import pytest

from lmol.config import load_config
from lmol.config.paths import MACHINE, SETTINGS, read_path
from lmol.errors import ConfigError, LmolError

NEEDS = {
    "data.source.table": ("data=csv", "data.root=photos"),
    "model.encoder.weights": ("model=ridge",),
}
"""Overrides without which a setting is not there."""


def value(config, key):
    for name in key.split("."):
        config = config[name] if isinstance(config, dict) else getattr(config, name)
    return config[0] if isinstance(config, list) else config


@pytest.mark.parametrize("key", SETTINGS)
def test_a_home_folder_is_expanded_in_every_setting(key, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_config(*NEEDS.get(key, ()), f"{key}=~/place")
    assert value(config, key) == f"{tmp_path}/place"


@pytest.mark.parametrize("key", SETTINGS)
def test_an_unset_shell_variable_is_an_error_that_says_so(key):
    with pytest.raises(ConfigError, match="a shell variable that is not set is empty") as error:
        load_config(*NEEDS.get(key, ()), f"{key}=")
    assert f"{key}: got an empty text" in str(error.value)


@pytest.mark.parametrize("key", ["images", "runs"])
def test_each_item_of_a_list_is_read(key, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load_config(f"{key}=[~/a.jpg,b.jpg]")
    assert getattr(config, key) == [f"{tmp_path}/a.jpg", "b.jpg"]
    with pytest.raises(ConfigError, match="an empty text"):
        load_config(f"{key}=[a.jpg,'']")


def test_what_is_no_path_of_this_machine_stays_as_it_is():
    for text in ("llava-hf/llava-1.5-7b-hf", "pkg://lmol.model.tiny_base", "a/b", "/a b/ü"):
        assert read_path("model.backbone.weights", text) == text


@pytest.mark.parametrize(
    ("path", "message"),
    [("a" * 256, "a name of 256 bytes"), ("a/" * 2100, "where 4095"), ("\udcff.jpg", "not UTF-8")],
)
def test_a_path_that_no_file_system_takes_is_refused_at_once(path, message):
    with pytest.raises(LmolError, match=message):
        read_path("images", path)


def test_the_settings_of_a_machine_are_those_that_a_finished_run_may_find_elsewhere():
    assert set(MACHINE) < set(SETTINGS)
    assert Path(read_path("data.root", Path("photos"))) == Path("photos")
