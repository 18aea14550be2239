"""Run folders are found, known by how far they came, and never trusted to be whole."""

import json
import re

import pytest
import yaml

from lmol.config import as_dict, load_config
from lmol.config.schema import RunStatus
from lmol.config.signature import WITHOUT_EFFECT, digest
from lmol.errors import ConfigError
from lmol.report.recipes import recipes_of, subject_of
from lmol.report.runs import ReportedRun, reported_runs
from tests.report.run_folders import make_run, make_sweep


def test_runs_and_sweeps_are_found_each_once(tmp_path):
    sweep = make_sweep(tmp_path / "sweep", (0.8, 0.7))
    alone = make_run(tmp_path / "alone", fold=3)
    found = reported_runs([str(sweep), str(alone), str(sweep / "fold_1")])
    assert [run.path.name for run in found] == ["fold_1", "fold_2", "alone"]


def test_every_folder_that_is_not_there_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as caught:
        reported_runs([str(tmp_path / "nowhere"), str(tmp_path / "empty")])
    first, second = caught.value.problems
    assert "no such folder" in str(first)
    assert "without a trained run" in str(second)
    assert "task=report lists them" in str(second)


def test_a_run_of_another_task_is_refused_with_the_run_that_it_used(tmp_path):
    make_run(tmp_path / "run", task="evaluate", run="outputs/the/run")
    with pytest.raises(ConfigError, match=r"task=evaluate(.|\n)*outputs/the/run"):
        reported_runs([str(tmp_path / "run")])


def damaged(path, how):
    """A finished run that was then damaged."""
    run = make_run(path)
    if how == "empty manifest":
        (run / "manifest.json").write_text("")
    elif how == "manifest of no mapping":
        (run / "manifest.json").write_text("[1]")
    elif how == "half a metrics.json":
        (run / "metrics.json").write_text('{"accuracy": 0.')
    elif how == "no config":
        (run / "config.yaml").unlink()
    elif how == "running":
        facts = json.loads((run / "manifest.json").read_text()) | {"status": "running", "end": None}
        (run / "manifest.json").write_text(json.dumps(facts))
    return run


DAMAGE = {
    "empty manifest": "no readable manifest.json",
    "manifest of no mapping": "no readable manifest.json",
    "half a metrics.json": "metrics.json is missing or damaged",
    "no config": "config.yaml is missing or damaged",
    "running": "still running, or killed",
}


@pytest.mark.parametrize(("how", "why"), DAMAGE.items())
def test_a_half_written_run_is_unfinished_and_in_no_mean(tmp_path, how, why):
    make_run(tmp_path / "sweep" / "fold_2", fold=2)
    damaged(tmp_path / "sweep" / "fold_1", how)
    recipes, left_out = recipes_of(reported_runs([str(tmp_path / "sweep")]))
    assert [recipe.folds for recipe in recipes] == [[2]]
    assert [recipe.missing for recipe in recipes] == [[1, 3]]
    [found] = left_out
    assert found.run.status is RunStatus.UNFINISHED
    assert why in found.reason


def test_a_failed_run_tells_its_error(tmp_path):
    run = ReportedRun.read(
        make_run(tmp_path / "x", status="failed: health", error="HealthError: no gradient\nmore")
    )
    assert (run.status, run.problem) == (RunStatus.FAILED, "HealthError: no gradient")


def test_a_folder_that_was_killed_before_its_manifest_is_seen(tmp_path):
    sweep = make_sweep(tmp_path / "sweep", (0.8,))
    (sweep / "fold_2").mkdir()
    (sweep / "fold_2" / "run.log").touch()
    assert len(reported_runs([str(sweep)])) == 2


def test_records_end_where_the_last_line_was_cut_short(tmp_path):
    run = ReportedRun.read(make_run(tmp_path / "run"))
    assert [record["step"] for record in run.records] == [1, 2, 4, 8, 16, 8]


def test_runs_that_differ_in_the_fold_alone_are_one_recipe(tmp_path):
    runs = [make_run(tmp_path / f"{fold}", fold=fold, accuracy=fold / 10) for fold in (3, 1)]
    [recipe], _ = recipes_of(reported_runs([str(run) for run in runs]))
    assert recipe.values("accuracy") == {1: 0.1, 3: 0.3}
    assert recipe.missing == [2]


def values_of(key, value):
    """A whole configuration in which one setting has another value than by default."""
    *groups, last = key.split(".")
    values = as_dict(load_config("task=prepare"))
    holder = values
    for group in groups:
        holder = holder[group]
    holder[last] = value
    return values


@pytest.mark.parametrize("key", [*WITHOUT_EFFECT, "seed"])
def test_what_the_signature_leaves_out_makes_no_other_recipe(tmp_path, key):
    paths = [make_run(tmp_path / name) for name in ("one", "other")]
    changed = [as_dict(load_config("task=prepare")), values_of(key, 3)]
    for path, values in zip(paths, changed, strict=True):
        (path / "config.yaml").write_text(yaml.safe_dump(values))
    one_signature = digest(changed[0]) == digest(changed[1])
    recipes, _ = recipes_of(reported_runs([str(path) for path in paths]))
    assert (len(recipes) == 1) == one_signature == (key != "seed")


def test_a_repeated_fold_counts_once_the_latest(tmp_path):
    old = make_run(tmp_path / "old", accuracy=0.1, end="2026-11-01T00:00:00")
    new = make_run(tmp_path / "new", accuracy=0.9, end="2026-11-02T00:00:00")
    [recipe], left_out = recipes_of(reported_runs([str(new), str(old)]))
    assert recipe.values("accuracy") == {1: 0.9}
    assert [found.run.path for found in left_out] == [old]
    assert "a later run" in left_out[0].reason


def test_recipes_of_one_name_are_named_by_what_differs(tmp_path):
    folders = [make_run(tmp_path / f"{lr}", lr=lr) for lr in (0.1, 0.2)]
    sweeps = [make_sweep(tmp_path / name, (0.5,), lr=0.1) for name in ("x", "y")]
    recipes, _ = recipes_of(reported_runs([str(place) for place in (*folders, *sweeps)]))
    labels = [recipe.label for recipe in recipes]
    assert labels == ["default", "default (optim.lr_lora=0.2)", "default (x)", "default (y)"]


def test_wildcards_name_folders_the_oldest_first(tmp_path):
    begun = {"b": "2026-11-20T10", "a": "2026-11-21T10", "c[1]": "2026-11-22T10"}
    for name, start in begun.items():
        make_sweep(tmp_path / name, (0.8,), name=name, start=start)
    assert [run.name for run in reported_runs([f"{tmp_path}/*"])] == ["b", "a", "c[1]"]
    assert [run.name for run in reported_runs([f"{tmp_path}/[ab]"])] == ["b", "a"]
    assert [run.name for run in reported_runs([f"{tmp_path}/c[1]"])] == ["c[1]"]
    with pytest.raises(ConfigError, match="a pattern that matches no folder"):
        reported_runs([f"{tmp_path}/x*"])


def test_settings_of_a_sweep_are_recipes_in_the_order_of_its_command(tmp_path):
    sweep = tmp_path / "sweep"
    for name in ("a", "none"):
        for fold in (1, 2):
            place = sweep / f"fold_{fold},ablation={name}"
            make_run(place, fold=fold, swept={"ablation": name})
    wanted = [{"fold.index": fold, "ablation": name} for name in ("none", "a") for fold in (1, 2)]
    (sweep / "sweep.yaml").write_text(yaml.safe_dump({"wanted": wanted}))
    recipes, left_out = recipes_of(reported_runs([str(sweep)]))
    assert [recipe.label for recipe in recipes] == ["ablation=none", "ablation=a"]
    assert [recipe.folds for recipe in recipes] == [[1, 2], [1, 2]]
    assert not left_out  # though they come to the same settings
    other = make_run(tmp_path / "other", name="other")
    recipes, _ = recipes_of(reported_runs([str(sweep), str(other)]))
    labels = [recipe.label for recipe in recipes]
    assert labels == ["default (ablation=none)", "default (ablation=a)", "other"]


def test_an_undefined_metric_is_no_zero(tmp_path):
    run = make_run(tmp_path / "run")
    (run / "metrics.json").write_text('{"accuracy": 0.5, "pearson": null}')
    [recipe], _ = recipes_of(reported_runs([str(run)]))
    assert recipe.values("pearson") == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data_hash": "other"}, "data_hash"),
        ({"split_hash": "other"}, r"fold 1 \(split_hash\)"),
        ({"theta": 0.3}, "data.theta"),
        ({"fold": 2}, "other folds"),
    ],
)
def test_a_comparison_of_different_data_or_folds_is_refused(tmp_path, changes, reason):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", name="b", **changes)]
    subject = subject_of(reported_runs([str(run) for run in runs]))
    assert set(subject.refusals) == {"b"}
    assert re.search(reason, subject.refusals["b"])


def test_recipes_of_the_same_data_and_folds_are_compared(tmp_path):
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b", name="b", lr=1.0)]
    assert subject_of(reported_runs([str(run) for run in runs])).refusals == {}
