"""Composed values become a typed Config, or every problem is reported."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from lmol.config import Config, check, load_config, signature
from lmol.config.schema import FoldKind
from lmol.errors import ConfigError, LmolError

PREPARE = "task=prepare"


def mistakes(*overrides: str) -> dict[str, str]:
    """Message by the key it is about."""
    with pytest.raises(ConfigError) as caught:
        load_config(PREPARE, *overrides)
    return {problem.where: str(problem) for problem in caught.value.problems}


def changed(dotted: str, value: object) -> ConfigError:
    """What is wrong when a file, which no command-line check sees, holds this value."""
    with initialize_config_module("lmol.conf", version_base="1.3"):
        values = compose("config", [PREPARE])
    OmegaConf.set_struct(values, False)
    OmegaConf.update(values, dotted, value, force_add=True)
    with pytest.raises(ConfigError) as caught:
        check(values)
    return caught.value


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(PREPARE)


def test_the_default_is_valid_and_typed(config: Config) -> None:
    assert config.fold.kind is FoldKind.SEEDED
    assert config.fold.seed == config.seed == 42


RECIPES = Path(__file__).parents[2] / "experiments" / "recipe"


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_the_recipes_are_valid(recipe: str) -> None:
    assert load_config(PREPARE, f"+recipe={recipe}", "data.root=photos").name == recipe


def test_the_fast_recipe_computes_the_same_steps_on_a_base_of_full_size() -> None:
    slow, fast = (load_config(PREPARE, f"+recipe={n}") for n in ("scut_llava", "scut_llava_fast"))
    assert (fast.data, fast.fold, fast.optim) == (slow.data, slow.fold, slow.optim)
    assert fast.model["backbone"] == {**slow.model["backbone"], "quantization": "none"}
    changed = {k for k, v in vars(fast.train).items() if v != getattr(slow.train, k)}
    assert changed == set()


ABLATIONS = Path(__file__).parents[2] / "experiments" / "ablation"


@pytest.mark.parametrize("name", sorted(path.stem for path in ABLATIONS.glob("*.yaml")))
def test_every_ablation_but_none_changes_the_recipe(name: str) -> None:
    recipe = load_config(PREPARE, "+recipe=scut_llava")
    ablated = load_config(PREPARE, "+recipe=scut_llava", f"+ablation={name}")
    assert (signature(ablated) == signature(recipe)) == (name == "none")


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ("optim.lr_lora=-1", "optim.lr_lora", "got -1; expected greater than or equal to 0"),
        ("data.theta=-0.1", "data.theta", "expected greater than or equal to 0"),
        ("train.epochs=nan", "train.epochs", "expected a finite number"),
        ("optim.lr_lora=true", "optim.lr_lora", "got True; expected a valid number"),
        ("seed='\"1\"'", "seed", "expected a valid integer"),
        ("optim.schedule=cosin", "optim.schedule", "'cosine', 'cosine_restarts', 'linear'"),
        ("eval.pairs=some", "eval.pairs", "expected a valid integer or 'all'"),
        ("eval.pairs=0", "eval.pairs", "greater than or equal to 1"),
        ("model.lora.targets='('", "model.lora.targets", "expected a regular expression"),
        ("fold=6", "fold.index", "fold index outside 1..k; expected 1 to 5"),
        ("fold=0", "fold.index", "fold index outside 1..k"),
        ("data.schedule.near_band=0.3", "data.schedule.near_band", "at most data.theta = 0.2"),
        ("optim.cycles=2", "optim.cycles", "only cosine_restarts has cycles"),
        ("train.loss.consistency.start=2", "train.loss.consistency", "ramp_ratio above 0"),
        ("data.answers.first=Second", "data.answers", "three different words"),
        ("data.source.num_imagez=1", "data.source.num_imagez", "did you mean data.source.num_im"),
        ("data.source.num_images=-1", "data.source.num_images", "expected greater than"),
        ("~model", "model", "got nothing; expected a value"),
        ("name=a/b", "name", "match pattern"),
        ("tracking=onlin", "tracking", "did you mean online"),
        ("tracking.project=a/b", "tracking.project", "match pattern"),
        ("tracking.tags=['']", "tracking.tags.0", "at least 1 character"),
    ],
)
def test_a_mistake_says_where_and_what_was_expected(override: str, key: str, message: str) -> None:
    assert message in mistakes(override)[key]


def test_official_folds_are_five() -> None:
    assert "got 4; expected 5" in mistakes("fold=official", "fold.k=4")["fold.k"]


def test_something_must_be_trained() -> None:
    found = mistakes("optim.lr_lora=0", "optim.lr_projector=0")
    assert any("nothing would be trained" in message for message in found.values())


def test_flash_attention_needs_half_precision() -> None:
    found = mistakes("model.backbone.attention=flash_attention_2")
    assert "dtype bf16 or fp16" in found["model.backbone.attention"]


def test_two_half_precisions_do_not_mix() -> None:
    found = mistakes("model.backbone.dtype=bf16", "train.precision=fp16")
    assert "fp16 over bf16 weights" in found["train.precision"]


def test_one_step_needs_its_pairs() -> None:
    found = mistakes("data.schedule.num_pairs=30", "train.accumulation=2")
    assert "at least one step of 16 x 2 pairs" in found["data.schedule.num_pairs"]


def test_a_score_range_has_a_lower_and_an_upper_end() -> None:
    found = mistakes("data=csv", "data.root=x", "data.source.min_score=9")
    assert "the lowest score below the highest" in " ".join(found.values())


def test_all_problems_of_values_are_reported_together() -> None:
    found = mistakes("optim.lr_lora=x", "data.theta=-1", "data.source.num_imagez=3")
    assert {"optim.lr_lora", "data.theta", "data.source.num_imagez"} <= set(found)


@pytest.mark.parametrize(
    ("key", "nearest"), [("optim.lr_loar", "optim.lr_lora"), ("sead", "seed"), ("a.typo", "")]
)
def test_an_unknown_key_of_a_file_is_found(key: str, nearest: str) -> None:
    unknown = {p.where: p for p in changed(key, 1).problems}
    [problem] = [p for where, p in unknown.items() if where == key or where == key.split(".")[0]]
    assert problem.got == "an unknown key"
    assert nearest in problem.remedy


def test_a_typo_in_a_recipe_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    recipe = "# @package _global_\noptim:\n  lr_projectr: 1.0\ntrain:\n  epochs: many\n"
    (tmp_path / "recipe" / "mine.yaml").write_text(recipe)
    found = mistakes("+recipe=mine", f"hydra.searchpath=[pkg://lmol.experiments,file://{tmp_path}]")
    assert "did you mean optim.lr_projector?" in found["optim.lr_projectr"]
    assert "expected a valid number" in found["train.epochs"]


def test_an_interpolation_without_a_value_is_reported_once() -> None:
    problems = changed("data.theta", "${oc.env:LMOL_NO_SUCH_VARIABLE}").problems
    [problem] = [problem for problem in problems if problem.where == "data.theta"]
    assert "LMOL_NO_SUCH_VARIABLE" in problem.remedy


def test_a_value_that_must_be_given_is_asked_for() -> None:
    assert "give it on the command line: data.root=..." in mistakes("data=csv")["data.root"]


def test_a_target_outside_the_package_is_refused_before_it_is_imported() -> None:
    found = mistakes("data.source._target_=os.system")
    assert "outside lmol is refused" in found["data.source._target_"]


def test_an_inner_target_is_refused_too() -> None:
    found = mistakes("+data.source.inner={_target_:os.system}")
    assert "outside lmol is refused" in found["data.source.inner._target_"]


def test_a_configuration_error_is_picklable() -> None:
    import pickle

    error = changed("data.theta", -1)
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert isinstance(copy.problems[0], LmolError)


@pytest.mark.parametrize(
    ("override", "key"),
    [("data=csv", "data.root"), ("data.root=${oc.env:LMOL_NO}", "data.root"), ("seed=-1", "seed")],
)
def test_a_wrong_value_is_one_problem_also_where_others_refer_to_it(
    override: str, key: str
) -> None:
    assert list(mistakes(override)) == [key]
