"""The card of an exported model: its training, its metrics, its limits and how to use it."""

from __future__ import annotations

import json
from typing import Any

from lmol.config import Config, instantiate
from lmol.config.schema import ExportForm, PromptForm, Quantization
from lmol.evaluation.metric import Shown
from lmol.evaluation.metrics import shown_in
from lmol.model.checkpoint import read_meta
from lmol.model.vlm.spec import VisionLanguageModel
from lmol.runs.past_runs import PastRun
from lmol.system.files import own_file

SOURCES = {
    "ScutFBP5500": (
        "SCUT-FBP5500, portraits scored 1 to 5 by 60 raters each. The data set is for "
        "non-commercial research only, and so is this model."
    ),
    "SyntheticFaces": "drawn faces, whose score is a formula; it knows nothing of real ones.",
}

REPORTED = (*(metric.key for metric in shown_in(Shown.CARD)), "subgroup_gap")

CARD = """\
---
library_name: {library}
pipeline_tag: image-text-to-text
base_model: {base}
tags: [lmol, pairwise-comparison]
---
# {name}: which of two images is better

Takes two images and a question, and answers with one word: {answers}. Made with LMOL {version}
by fine-tuning {base} with LoRA (r {r}, alpha {alpha}) and {projector} projector.

The question, word for word:

> {question}

The prompt, of which the answer is the first new token:

```
{prompt}
```

```python
{usage}
```

Ask both orders and average: that removes what is left of a preference for a side.

## Data

{data}

Fold {fold} of {k} was held out ({fold_kind} folds, split {split_hash}); images of the held-out fold
are in no training pair. Two images whose scores differ by at most {theta} are labelled {similar}.

## Metrics

{metrics}

## Limits
{limits}
- Probabilities are not calibrated; the run's own report has a temperature for them.
- It has seen one data set. Other cameras, poses, ages, groups and cultures are untested, and a high
  correlation on this one is no evidence of validity there.
- Scores of faces measure the taste of the raters who gave them, not a property of a person.

## Responsible use

Not for judging people: do not use it to rate, rank, hire, match, admit, price or moderate real
persons, or on pictures of people who have not agreed. The terms of the base model and of the data
set hold for this model too.
"""

MERGED_USAGE = """\
from transformers import pipeline

ask = pipeline("image-text-to-text", model="this/folder")
content = [{{"type": "image", "url": "a.jpg"}}, {{"type": "image", "url": "b.jpg"}},
           {{"type": "text", "text": {question!r}}}]
ask(text=[{{"role": "user", "content": content}}], max_new_tokens=1, do_sample=False)"""

PLAIN_USAGE = """\
from transformers import AutoProcessor, LlavaForConditionalGeneration

processor = AutoProcessor.from_pretrained("this/folder")
model = LlavaForConditionalGeneration.from_pretrained("this/folder")
prompt = {prompt!r}
inputs = processor(text=prompt, images=[first, second], return_tensors="pt")  # two PIL images
processor.decode(model.generate(**inputs, max_new_tokens=1, do_sample=False)[0, -1])"""

ADAPTER_USAGE = """\
from lmol import load_comparer

load_comparer("this/folder").compare("a.jpg", "b.jpg")"""

QUANTIZED = """
- The model was trained on a base of 4 or 8 bits, and this is the base without quantisation: its
  answers differ a little from those that the metrics were measured on."""


def model_card(config: Config, past: PastRun, prompt: str) -> str:
    """Return Markdown with YAML front matter, filled from a run. prompt: as rendered."""
    data, export = config.data, config.export
    model: VisionLanguageModel = instantiate(config.model, "model")
    merged = export.form is ExportForm.MERGED
    quantized = model.backbone.get("quantization") != Quantization.NONE.value
    stock_usage = PLAIN_USAGE if model.prompt is PromptForm.PLAIN else MERGED_USAGE
    usage = stock_usage if merged else ADAPTER_USAGE
    source = str(data.source["_target_"]).rpartition(".")[2]
    return CARD.format(
        library="transformers" if merged else "peft",
        base=model.backbone.get("weights"),
        name=config.name,
        answers=", ".join((data.answers.first, data.answers.second, data.answers.similar)),
        similar=data.answers.similar,
        version=past.manifest["versions"]["lmol"],
        r=model.lora.r,
        alpha=model.lora.alpha,
        projector="a freshly trained" if model.projector.value == "fresh" else "its own",
        question=data.question,
        prompt=prompt,
        usage=usage.format(question=data.question, prompt=prompt),
        data=f"Trained on {SOURCES.get(source, 'images with scores from a table of its own.')}",
        fold=past.fold,
        k=config.fold.k,
        fold_kind=config.fold.kind.value,
        split_hash=str(past.manifest.get("split_hash"))[:12],
        theta=data.theta,
        metrics=_metrics(past, config.checkpoint.value),
        limits=QUANTIZED if quantized and merged else "",
    )


def _metrics(past: PastRun, kind: str) -> str:
    """Return a table of the held-out metrics with their 95 % intervals, as the run saved them."""
    step, judged = (read_meta(past.checkpoint(name)).get("step") for name in (kind, "best"))
    if step != judged:
        return f"Not evaluated: these are the weights of step {step}; the run judged step {judged}."
    try:
        found: dict[str, Any] = json.loads(own_file(past.path, "metrics.json").read_text())
    except OSError:
        return "This run was not evaluated."
    rows = [
        f"| {name} | {found[name]:.4f} | {_interval(found, name)} |"
        for name in REPORTED
        if found.get(name) is not None
    ]
    heading = f"Of the held-out fold, {found['pairs']:,} pairs of {found['images']:,} images:"
    table = ["| metric | value | 95 % interval over images |", "| --- | --- | --- |", *rows]
    return "\n".join([heading, "", *table])


def _interval(found: dict[str, Any], name: str) -> str:
    low, high = found.get(f"{name}_low"), found.get(f"{name}_high")
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
