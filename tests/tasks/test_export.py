"""task=export: stock classes load the model and answer as it does, with no code of ours."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration, pipeline

from lmol import load_comparer
from tests.tasks.conftest import SMALL, run_in

QUESTION = "Which face looks more attractive?"
NF4 = ("model.backbone={quantization: nf4, dtype: bf16}", "train.precision=bf16")


@pytest.fixture(scope="module")
def merged(tmp_path_factory, trained_once):
    """The model of a trained run, exported once for all tests that only read it."""
    run, folder = trained_once / "outputs/one/run", tmp_path_factory.mktemp("exported")
    settings = ("task=export", f"run={run}", "export.folder=model", "hydra.run.dir=export")
    return run_in(folder, *settings) / "model"


@torch.no_grad()
def test_plain_transformers_gives_the_same_logits(merged, trained, faces):
    comparer: Any = load_comparer(trained).model
    stock = LlavaForConditionalGeneration.from_pretrained(merged)
    processor = AutoProcessor.from_pretrained(merged)
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": QUESTION}]
    turns = [{"role": "user", "content": content}]
    prompt = processor.apply_chat_template(turns, add_generation_prompt=True)
    assert prompt == comparer.prompt.text
    images = [Image.open(path).convert("RGB") for path in faces["path"][:2]]
    inputs = processor(text=prompt, images=images, return_tensors="pt")
    found = stock(**inputs).logits[0, -1, list(comparer.prompt.answer_ids)]
    expected = comparer(pixel_values=inputs["pixel_values"][None])[0, 0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_image_text_pipeline_answers(merged, faces):
    ask: Any = pipeline("image-text-to-text", model=str(merged))
    content = [{"type": "image", "url": path} for path in faces["path"][:2]]
    content.append({"type": "text", "text": QUESTION})
    turns = [{"role": "user", "content": content}]
    [answer] = ask(text=[turns], max_new_tokens=1, do_sample=False, return_full_text=False)[0]
    assert isinstance(answer["generated_text"], str)


@pytest.mark.pictures
def test_a_picture_shows_that_both_answer_alike(command, trained):
    assert command("task=export", "hydra.run.dir=export") == (0, "")
    assert Path("export/plots/export.png").stat().st_size > 5_000
    assert json.loads(Path("export/manifest.json").read_text())["largest_logit_difference"] < 1e-4


def test_the_card_is_filled_from_the_run(merged, trained):
    card = (merged / "README.md").read_text()
    metrics = json.loads((trained / "metrics.json").read_text())
    assert f"| accuracy | {metrics['accuracy']:.4f} |" in card
    for said in (QUESTION, "Fold 1 of 5 was held out", "drawn faces", "Not for judging people"):
        assert said in card
    assert "{" not in card.replace('[{"type"', "").replace('{"type"', "").replace('[{"role"', "")


def test_the_card_does_not_give_the_metrics_of_other_weights(command, trained):
    meta = trained / "checkpoints/best/meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"step": 5}))
    settings = ("task=export", "checkpoint=last", "export.folder=model")
    assert command(*settings) == (0, "")
    card = Path("model/README.md").read_text()
    assert "Not evaluated: these are the weights of step 12; the run judged step 5." in card
    assert "| accuracy |" not in card


def test_the_card_of_a_plain_prompt_tells_how_to_ask(command, faces):
    assert command(*SMALL, "model.prompt=plain", "hydra.run.dir=outputs/one/run") == (0, "")
    assert command("task=export", "export.folder=model") == (0, "")
    card = Path("model/README.md").read_text()
    assert "prompt = '<image><image>, Which face looks more attractive?'" in card
    assert "pipeline(" not in card


def test_the_adapter_alone_is_a_checkpoint_that_loads_anywhere(command, trained, faces):
    settings = ("task=export", "export.form=adapter", "export.folder=adapter")
    assert command(*settings) == (0, "")
    first, second = faces["path"][:2]
    expected = load_comparer(trained).compare(first, second)
    shutil.rmtree("outputs")
    assert load_comparer("adapter").compare(first, second) == expected
    assert "load_comparer" in Path("adapter/README.md").read_text()


def test_a_run_on_4_bits_is_merged_into_the_unquantised_base_and_says_so(command, faces):
    assert command(*SMALL, *NF4, "hydra.run.dir=outputs/one/run") == (0, "")
    assert command("task=export", "export.folder=model", "hydra.run.dir=export") == (0, "")
    assert "Trained on nf4" in Path("export/run.log").read_text()
    assert "The model was trained on a base of 4 or 8 bits" in Path("model/README.md").read_text()
    stock = LlavaForConditionalGeneration.from_pretrained("model", dtype="auto")
    assert {parameter.dtype for parameter in stock.parameters()} == {torch.bfloat16}


def test_nothing_is_overwritten_and_nothing_half_written_stays(command, trained):
    Path("model").mkdir()
    code, errors = command("task=export", "export.folder=model")
    assert code == 2
    assert "nothing is overwritten" in errors
    meta = trained / "checkpoints/best/meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"base": "0" * 64}))
    assert command("task=export", "export.folder=other")[0] == 2
    assert [path.name for path in Path().glob("*other*")] == []
    assert list(Path("model").iterdir()) == []


@pytest.mark.parametrize("mask", [pytest.param(0o022, marks=pytest.mark.slow), 0o077])
def test_every_file_has_the_mode_that_the_umask_gives(command, mask):
    tracked = ["tracking=offline" if one == "tracking=off" else one for one in SMALL]
    before = os.umask(mask)
    try:
        assert command(*tracked, "hydra.run.dir=outputs/one/run") == (0, "")
        assert command("task=export", "export.folder=model") == (0, "")
    finally:
        os.umask(before)
    found = [path for path in Path().rglob("*") if not path.is_symlink()]
    assert any(path.name == "model.safetensors" for path in found)
    for path in found:
        whole = 0o777 if path.is_dir() else 0o666
        own = path.stat().st_mode | 0o200  # what W&B keeps for an upload, it protects from changes
        assert oct(own & 0o777 & ~0o022) == oct(whole & ~mask & ~0o022), path
