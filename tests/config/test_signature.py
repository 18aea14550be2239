"""The signature: the same for what computes the same, another for anything else."""

import pytest

from lmol.config import as_dict, load_config, signature


@pytest.mark.parametrize("override", ["debug=true", "threads=1", "name=x", "train.workers=2"])
def test_what_has_no_effect_on_the_result_is_left_out(override: str) -> None:
    assert signature(load_config("task=prepare", override)) == signature(
        load_config("task=prepare")
    )


@pytest.mark.parametrize("override", ["seed=1", "fold=2", "data.source.num_images=90"])
def test_every_other_setting_counts(override: str) -> None:
    assert signature(load_config("task=prepare", override)) != signature(
        load_config("task=prepare")
    )


def test_a_value_counts_and_not_how_it_was_written() -> None:
    one, other = (load_config("task=prepare", f"data.theta={text}") for text in ("0.3", "3e-1"))
    assert signature(one) == signature(other)


def test_choices_are_written_by_name() -> None:
    assert as_dict(load_config("task=prepare"))["fold"]["kind"] == "seeded"


def test_a_number_of_the_model_is_the_same_however_it_is_written() -> None:
    assert signature(load_config("model.lora.dropout=0")) == signature(
        load_config("model.lora.dropout=0.0")
    )
