"""Swappable nodes: what they may name, and how they are built."""

from functools import partial

import pytest

from lmol.config import instantiate, load_config
from lmol.config.schema import Precision
from lmol.config.targets import target_problems
from lmol.errors import ConfigError
from lmol.model.vlm.backbone import LlavaBackbone

BACKBONE = {
    "_target_": "lmol.model.vlm.backbone.LlavaBackbone",
    "weights": "somewhere",
    "revision": None,
    "dtype": "bf16",
    "quantization": "none",
    "double_quantization": False,
    "attention": "sdpa",
}


def messages(**changes: object) -> str:
    problems = target_problems("model.backbone", BACKBONE | changes, complete=True)
    return "\n".join(str(problem) for problem in problems)


def test_values_arrive_as_the_types_that_the_class_asks_for() -> None:
    built = instantiate(BACKBONE)
    assert isinstance(built, LlavaBackbone)
    assert built.dtype is Precision.BF16


def test_the_program_adds_the_objects_that_only_it_has() -> None:
    collator = {"_target_": "lmol.data.collator.PairCollator"}
    assert instantiate(collator, image_key="features").image_key == "features"


def test_a_partial_target_is_called_by_the_program() -> None:
    built = instantiate(BACKBONE | {"_partial_": True})
    assert isinstance(built, partial)
    assert built().weights == "somewhere"


def test_nothing_is_wrong_with_a_good_target() -> None:
    assert messages() == ""


def test_all_arguments_are_checked_together() -> None:
    message = messages(dtype="fp33", atention="sdpa", double_quantization="maybe")
    assert "model.backbone.dtype: got 'fp33'; expected 'fp32', 'bf16' or 'fp16'" in message
    assert "did you mean model.backbone.attention?" in message
    assert "model.backbone.double_quantization: got 'maybe'" in message


def test_a_missing_argument_is_found() -> None:
    less = {name: value for name, value in BACKBONE.items() if name != "weights"}
    [problem] = target_problems("model.backbone", less, complete=True)
    assert problem.where == "model.backbone.weights"


def test_a_misspelt_class_is_found() -> None:
    message = messages(_target_="lmol.model.vlm.backbone.LlavaBackbon")
    assert "did you mean LlavaBackbone?" in message


def test_a_misspelt_module_is_found() -> None:
    assert "there is no module lmol.model.backbon" in messages(_target_="lmol.model.backbon.X")


def test_a_function_is_no_class() -> None:
    assert "a class of the lmol package" in messages(_target_="lmol.model.vlm.backbone.files")


def test_unknown_arguments_of_a_class_that_is_no_dataclass_are_found() -> None:
    trainer = {"_target_": "lmol.runs.run_folder.RunFolder", "debugg": True}
    [problem] = target_problems("any.part", trainer, complete=False)
    assert "did you mean any.part.debug?" in str(problem)


def test_building_refuses_what_the_check_refuses() -> None:
    with pytest.raises(ConfigError, match="outside lmol is refused"):
        instantiate({"_target_": "os.system", "command": "true"})


def test_a_moved_class_is_reported_with_its_new_name() -> None:
    old, new = "lmol.model.backbone.LlavaBackbone", "lmol.model.vlm.backbone.LlavaBackbone"
    with pytest.raises(ConfigError, match=f"it is {new} now"):
        load_config(f"model.backbone._target_={old}")
