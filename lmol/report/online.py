"""W&B report of the same recipes: our tables as Markdown, and panels that W&B draws itself.

It needs the extra package wandb-workspaces; only `upload` needs a network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from lmol.errors import LmolError
from lmol.report.blocks import Cell, Section, Table, Text
from lmol.report.numbers import METRICS, listed
from lmol.report.page import title_of
from lmol.report.recipes import Recipe, Subject
from lmol.report.sections.comparing import comparison_section
from lmol.report.sections.headline import headline_section
from lmol.tracking.wandb_session import default_entity, refused_online

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2.interface import Report, Runset

CURVES = {
    "Training loss": "train/loss",
    "Validation accuracy": "validation/accuracy",
    "Validation recall of Similar": "validation/accuracy_similar",
    "Validation cross-entropy on training's scale": "validation/comparable_cross_entropy",
    "Validation order consistency": "validation/order_consistency",
    "Validation Pearson": "validation/pearson",
    "Learning rate of LoRA": "train/lr_lora",
    "Gradient norm": "train/grad_norm",
}
PICTURES = {
    "Gradient flow": "audit/gradient_flow",
    "Confusion matrix": "held_out/confusion",
    "Ranking": "held_out/ranking",
    "Accuracy by gap": "held_out/accuracy_by_gap",
    "Reliability": "held_out/reliability",
}
TABLES = ("audit/grad_table", "held_out/confusion_table", "held_out/hardest_pairs")
"""Names under which lmol.tasks logs pictures and tables to the tracker."""

STEP = "step"
HALF, HEIGHT, TALL = 12, 7, 12
"""Sizes of panels in units of a grid that is 24 wide."""

LONGEST_TITLE = 128

SIGNS = re.compile(r"[|\[\]`]")
"""Signs that Markdown would read as a cell, a link or code."""


def online_report(subject: Subject) -> Report:
    """Return the report without uploading it; its entity is empty if the runs name none.

    Raises LmolError if runs were not tracked, or belong to more than one project.
    """
    import wandb_workspaces.reports.v2.interface as wr

    project, entity = _place(subject.finished)
    sections = (headline_section(subject), comparison_section(subject))
    words = [block for section in sections if section is not None for block in _words(section)]
    return wr.Report(
        project=project,
        entity=entity,
        title=title_of([recipe.label for recipe in subject.recipes])[:LONGEST_TITLE],
        description=f"Runs: {listed([recipe.label for recipe in subject.finished])}",
        width="fluid",
        blocks=[*words, *_grids(subject.finished)],
    )


def spec(report: Report) -> str:
    """Return the JSON that W&B stores for a report."""
    model = report._to_model().spec
    values: dict[str, Any] = json.loads(model.model_dump_json(by_alias=True, exclude_none=True))
    return json.dumps(values, indent=1) + "\n"


def upload(report: Report) -> str:
    """Store a report in its project, and return its address. Raises LmolError."""
    with refused_online():
        report.entity = report.entity or default_entity()
        report.save()
        return str(report.url)


def _place(recipes: Sequence[Recipe]) -> tuple[str, str]:
    """Return project and entity of the runs."""
    runs = [run for recipe in recipes for run in recipe.runs]
    untracked = [run for run in runs if not run.manifest.get("wandb")]
    if untracked or not runs:
        names = listed([run.path.name for run in untracked[:3]])
        raise _unfit(
            f"{len(untracked)} run(s) that W&B does not know, such as {names}"
            if runs
            else "no finished run",
            "runs that were tracked",
            "train with tracking=online, or offline and `wandb sync` before",
        )
    identities = [run.manifest["wandb"] for run in runs]
    places = sorted({(str(w["project"]), w["entity"] or "") for w in identities})
    if len(places) > 1:
        projects = listed(["/".join(filter(None, (entity, project))) for project, entity in places])
        raise _unfit(f"runs of {projects}", "runs of one project", "report each project separately")
    return places[0]


def _unfit(got: str, expected: str, remedy: str) -> LmolError:
    remedy = f"{remedy}; to make only the page, leave tracking=online out"
    return LmolError("runs", got=f"{got}, for a W&B report", expected=expected, remedy=remedy)


def _words(section: Section) -> Iterator[Any]:
    """Yield tables and sentences of a section; W&B draws the rest itself."""
    import wandb_workspaces.reports.v2.interface as wr

    yield wr.H1(text=section.title)
    for block in section.blocks:
        if isinstance(block, Table):
            yield wr.P(text=block.caption)
            yield wr.MarkdownBlock(text=markdown(block))
        elif isinstance(block, Text):
            if block.heading:
                yield wr.H2(text=block.heading)
            yield wr.P(text=" ".join(block.sentences))


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [table.columns, ["---"] * len(table.columns)]
    lines += [[_cell(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: Cell) -> str:
    text = f"{cell.text} ({cell.note})" if cell.note else cell.text
    text = SIGNS.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))
    return f"**{text}**" if cell.strong and text else text


def _grids(recipes: Sequence[Recipe]) -> Iterator[Any]:
    """Yield curves and bars over folds, then tables, pictures and settings of single runs."""
    import wandb_workspaces.reports.v2.interface as wr

    curves = [
        wr.LinePlot(title=title, x=STEP, y=[key], log_y=key.endswith("norm"))
        for title, key in CURVES.items()
    ]
    bars = [wr.BarPlot(title=m.title, metrics=[wr.SummaryMetric(m.key)]) for m in METRICS]
    tables = [wr.WeavePanelSummaryTable(table_name=name) for name in TABLES]
    pictures = [wr.MediaBrowser(title=title, media_keys=[key]) for title, key in PICTURES.items()]
    yield wr.H1(text="Learning curves")
    yield _grid(recipes, curves, grouped=True)
    yield wr.H1(text="Held-out fold")
    yield _grid(recipes, bars, grouped=True)
    yield wr.H1(text="Tables and pictures of single runs")
    yield _grid(recipes, [*tables, *pictures], height=TALL)
    yield wr.H1(text="Settings that differ")
    yield _grid(recipes, [wr.RunComparer(diff_only="split")], width=2 * HALF, height=TALL)


def _grid(
    recipes: Sequence[Recipe],
    panels: Sequence[Any],
    *,
    grouped: bool = False,
    width: int = HALF,
    height: int = HEIGHT,
) -> Any:
    """Return panels side by side, each of all recipes. grouped: one line or bar per recipe."""
    import wandb_workspaces.reports.v2.interface as wr

    a_row = 2 * HALF // width
    for place, panel in enumerate(panels):
        row, column = divmod(place, a_row)
        panel.layout = wr.Layout(x=column * width, y=row * height, w=width, h=height)
    return wr.PanelGrid(runsets=[_runset(one, grouped) for one in recipes], panels=list(panels))


def _runset(recipe: Recipe, grouped: bool) -> Runset:
    """Select a recipe's runs by id; W&B's groups are sweeps, which may hold many recipes."""
    import wandb_workspaces.expr as expr
    import wandb_workspaces.reports.v2.interface as wr

    ids = [run.manifest["wandb"]["id"] for run in recipe.runs]
    return wr.Runset(
        name=recipe.label,
        filters=expr.And(expr.Metric("ID").isin(ids)),
        groupby=["run.jobType"] if grouped else [],
    )
