"""Many jobs at once, on shared folders, read-only data, other file systems and odd names."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from PIL import Image

from tests.hostile.conftest import STORED
from tests.tasks.conftest import SMALL

ROOT = Path(__file__).parents[2]
MANY = str(Path(__file__).with_name("many.py"))
PREPARE = ("task=prepare", "data.source.num_images=40", "data.source.image_size=32",
           "data.schedule.num_pairs=48", "eval.pairs=20")  # fmt: skip
SHARED = Path("/dev/shm")
ODD = "Fotos é 写真 (neu) 'q' & $x"


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in the present folder. environment: changed; an empty value: removed."""
    known = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    kept = {name: value for name, value in known.items() if value}
    return subprocess.run(
        [sys.executable, *command], env=kept, capture_output=True, text=True, check=False
    )


def manifests(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in folder.rglob("manifest.json")]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.suffix in (".part", ".partial", ".lock")]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def odd_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of an odd name, whose outputs/ is a link to another file system if there is one."""
    folder = tmp_path / ODD
    folder.mkdir()
    monkeypatch.chdir(folder)
    with TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None) as other:
        (folder / "outputs").symlink_to(other)
        yield folder


@pytest.mark.parametrize("number", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_jobs_begun_at_once_share_outputs_and_caches(odd_place, number):
    """The folder has an odd name, with outputs/ on another file system, and without a home."""
    ended = run(MANY, str(number), *PREPARE, HOME="/nonexistent")
    assert (ended.returncode, ended.stderr) == (0, "")
    outputs = odd_place / "outputs"
    found = manifests(outputs)
    assert [facts["status"] for facts in found] == ["done"] * number
    assert len({str(facts["data_hash"]) for facts in found}) == 1
    tables = [path.read_bytes() for path in outputs.glob("*/*/pairs/train_fold1_*.csv")]
    assert (len(tables), len(set(tables))) == (number, 1)
    [faces] = (outputs / "data/synthetic").iterdir()
    assert len(list(faces.glob("*.png"))) == 40
    assert leftovers(outputs) == []


@pytest.mark.slow
@pytest.mark.parametrize("home", ["", "/proc"])
def test_of_jobs_begun_at_once_in_one_folder_one_works(here, home):
    ended = run(MANY, "3", *PREPARE, "hydra.run.dir=outputs/x/one", HOME=home)
    assert ended.returncode == 2
    assert ended.stderr.count("outputs/x/one: got") == 2
    assert "Traceback" not in ended.stderr
    assert [facts["status"] for facts in manifests(here / "outputs")] == ["done"]


@pytest.mark.slow
def test_trainings_begun_at_once_share_outputs_and_caches(here):
    command = [sys.executable, "-m", "lmol.run", *SMALL[:-1], "tracking=offline"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    jobs = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    ended = [(job.communicate()[1], job.returncode) for job in jobs]
    assert ended == [(b"", 0)] * 3
    assert [facts["status"] for facts in manifests(here / "outputs")] == ["done"] * 3
    metrics = [json.loads(p.read_text()) for p in (here / "outputs").rglob("metrics.json")]
    assert len({one["accuracy"] for one in metrics}) == 1


def write_photos(root: Path) -> None:
    root.mkdir(parents=True)
    names = [f"{'é' if place % 2 else '写'} {place}#%.png" for place in range(30)]
    for place, name in enumerate(names):
        Image.new("RGB", (9, 9), (8 * place, 100, 20)).save(root / name)
    scores = [1 + place % 5 for place in range(30)]
    pd.DataFrame({"image": names, "score": scores}).to_csv(root / "scores ü.csv", index=False)


def csv_of(root: str, table: str) -> tuple[str, ...]:
    return ("data=csv", f'data.root="{root}"', f'data.source.table="{table}"', "fold.k=3",
            "data.schedule.num_pairs=30", "train.batch_pairs=8")  # fmt: skip


def test_spaces_quotes_and_other_scripts_in_names(command):
    write_photos(Path(ODD) / "data")
    Path("lié").symlink_to(ODD)
    place = f'hydra.run.dir="{ODD}/out é"'
    assert command("task=prepare", *csv_of("lié/data", "scores ü.csv"), place) == (0, "")
    pairs = pd.read_csv(Path(ODD) / "out é/pairs/train_fold1_30.csv")
    assert pairs["img1"].str.startswith(("é", "写")).all()
    shutil.copytree(STORED / "finished_c4ec143", f"{ODD}/run")
    page = f'hydra.run.dir="{ODD}/page"'
    assert command("task=report", f'runs="{ODD}/run"', page) == (0, "")
    assert (Path(ODD) / "page/report.html").is_file()


@pytest.mark.slow
def test_a_training_and_a_report_need_no_home(here):
    gone = dict.fromkeys(("HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"), "")
    train = (*SMALL[:-1], "tracking=offline", "hydra.run.dir=outputs/a/run")
    for arguments in (train, ("task=report", "runs=outputs/a/run")):
        command = ("-m", "lmol.run", *arguments)
        ended = run(*command, HOME="/nonexistent", HF_HUB_OFFLINE="1", **gone)
        assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert list((here / "outputs/a/run/wandb").rglob("*.wandb"))


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a read-only mount needs root"
)
def test_data_that_may_only_be_read(here):
    write_photos(here / "photos")
    options = [*csv_of("photos", "scores ü.csv"), "train.validate_every=0.5", "tracking=off"]
    lines = [
        "mount --bind photos photos && mount -o remount,bind,ro photos || exit 77",
        "touch photos/x 2>/dev/null && exit 78",
        '"$@" task=prepare && "$@" hydra.run.dir=outputs/a/run',
    ]
    command = [sys.executable, "-m", "lmol.run", *options]
    ended = subprocess.run(
        ["unshare", "-m", "bash", "-c", "\n".join(lines), "bash", *command],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if ended.returncode in (1, 77) and "permitted" in ended.stderr:
        pytest.skip("no mount may be made here")
    assert ended.returncode == 0, ended.stderr
    assert [facts["status"] for facts in manifests(here / "outputs")] == ["done"] * 2
    assert sorted(path.suffix for path in (here / "photos").iterdir()) == [".csv"] + [".png"] * 30
