"""task=report, the real command on runs that were trained, and on folders that are no such runs."""

import json
import shutil
from pathlib import Path

import pytest

from tests.report.run_folders import make_run, make_sweep


def pages() -> list[Path]:
    """Pages that reports have left in folders of their own."""
    return list(Path("outputs").glob("*/*/report.html"))


def test_a_page_of_a_real_run(command, trained):
    code, errors = command("task=report", f"runs={trained}")
    assert (code, errors) == (0, "")
    [page] = pages()
    text = page.read_text()
    accuracy = json.loads((trained / "metrics.json").read_text())["accuracy"]
    assert f"{accuracy:.3f}" in text
    assert text.count("data:image/jpeg") > 4  # the hardest pairs
    assert text.count("data:image/png") == 1  # the gradient flow
    assert "file no longer there" not in text
    manifest = json.loads((page.parent / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["page"] == str(page.absolute())


def test_two_copies_of_a_real_run_are_compared_over_their_fold(command, trained):
    shutil.copytree(trained, "outputs/one/other")
    config = Path("outputs/one/other/config.yaml")
    config.write_text(config.read_text().replace("lr_lora: 0.004", "lr_lora: 0.5"))
    assert command("task=report", f"runs={trained},outputs/one/other")[0] == 0
    text = pages()[0].read_text()
    assert "A test needs 3 shared folds or more" in text
    assert "optim.lr_lora" in text


def test_several_folders_without_a_multirun_and_a_page_of_ones_own(command):
    for place in ("a b", "it's"):
        make_sweep(Path("sweeps") / place, (0.8, 0.9), name=place.replace(" ", "_"))
    code, errors = command("task=report", "runs=sweeps/a b,sweeps/it's", "report.page=new/p.html")
    assert (code, errors) == (0, "")
    assert "Compared with a_b" in Path("new/p.html").read_text()
    assert command("task=report", "runs=sweeps/a b", "report.page=new/p.html")[0] == 0
    assert "Compared with" not in Path("new/p.html").read_text()


def test_a_refused_comparison_is_in_the_log_and_the_page_is_made(command, caplog):
    make_run(Path("a"))
    make_run(Path("b"), name="b", data_hash="other")
    assert command("task=report", "runs=a,b")[0] == 0
    log = next(Path("outputs").glob("*/*/run.log")).read_text()
    assert "No paired comparison: b has other data (data_hash) than default" in log
    assert pages()


def test_an_unfinished_run_is_in_the_log(command):
    make_run(Path("s/fold_1"))
    make_run(Path("s/fold_2"), fold=2, status="running")
    assert command("task=report", "runs=s")[0] == 0
    log = next(Path("outputs").glob("*/*/run.log")).read_text()
    assert "default: 1 of 3 folds, missing: 2, 3" in log
    assert "s/fold_2 (still running, or killed" in log


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs=nowhere"], "runs=nowhere: got no such folder"),
        (["runs=[]"], "runs: got an empty list"),
        (["optim.lr_lora=1"], "optim.lr_lora: got a value for task=report"),
        (["run=x"], "run: got a value for task=report"),
        (["report.page=x.html"], "report.page: got x.html"),
        (["runs=a", "report.name=x"], "report.name: got x"),
        (["runs=a", "report.page=x.pdf"], "report.page: got x.pdf, no name of an HTML file"),
        (["runs=a", "report.page=a/manifest.json/x.html"], "where no folder can be made"),
        (["report.status=over"], "report.status: got"),
        (["report.nmae=x"], "did you mean report.name?"),
    ],
)
def test_a_mistake_ends_with_exit_code_2(command, arguments, message):
    make_run(Path("a"))
    code, errors = command("task=report", *arguments)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("given", ["runs=a", "report.name=x"])
def test_other_tasks_take_no_runs(command, given):
    code, errors = command(given)
    assert code == 2
    assert "expected report.* and runs only with task=report" in errors


def test_without_runs_it_lists_them_newest_first(command, trained, capsys):
    make_sweep(Path("outputs/sweeps/older"), (0.5, 0.75), name="older")
    shown = listed(command, capsys)
    assert shown.index("outputs/one/run") < shown.index("outputs/sweeps/older")
    assert "0.625" in shown
    assert "task=report runs=PATH,PATH" in shown
    assert "outputs/one/run" not in listed(command, capsys, "report.name=old*")
    assert "No such run below" in listed(command, capsys, "report.status=failed")


def test_an_empty_folder_has_no_runs_to_list(command, capsys):
    shown = listed(command, capsys)
    assert "No such run below" in shown
    assert "python -m lmol.run" in shown


def listed(command, capsys, *filters: str) -> str:
    """What the command prints, without its own folder."""
    printed = []
    read = capsys.readouterr

    def keep():
        found = read()
        printed.append(found.out)
        return found

    capsys.readouterr = keep
    assert command("task=report", *filters)[0] == 0
    capsys.readouterr = read
    return "".join(printed)
