"""The page says what the runs say, escapes every name, and needs no other file."""

import json
import re
from datetime import datetime, timezone
from html.parser import HTMLParser

import pandas as pd
import pytest

from lmol.report.numbers import METRICS, fixed, probability, signed
from lmol.report.page import render_page
from lmol.report.recipes import subject_of
from lmol.report.runs import reported_runs
from lmol.report.sections import SECTIONS
from lmol.report.sections.comparing import conclusion
from lmol.report.statistics import compare
from lmol.report.svg import Axis, Plot, thinned
from tests.report.run_folders import make_run, make_sweep

MADE = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
ODD = "<script>alert('x')</script> & $x$ \"q\" é"


def page_of(*folders):
    return render_page(subject_of(reported_runs([str(folder) for folder in folders])), MADE)


class Tags(HTMLParser):
    """Tags with their attributes, and the text outside of styles and scripts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._inside = [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside not in ("style", "script"):
            self.text += " " + data


@pytest.fixture
def two(tmp_path):
    """Two recipes of three folds, one of which lacks its last."""
    first = make_sweep(tmp_path / "a", (0.80, 0.82, 0.81))
    return first, make_sweep(tmp_path / "b", (0.84, 0.85), name="no_swap", lr=5.0)


def test_every_section_is_there_and_linked(two):
    page = Tags(page_of(*two))
    anchors = {attrs["id"] for tag, attrs in page.tags if tag == "section"}
    links = {attrs["href"].strip("#") for tag, attrs in page.tags if tag == "a"}
    assert anchors == links
    assert len(anchors) == len(SECTIONS)


def test_means_intervals_and_missing_folds_are_reported(two):
    text = Tags(page_of(*two)).text
    assert "0.810 ± 0.010" in text
    assert "0.785 to 0.835" in text
    assert "no_swap: no finished run of fold 3; its means are over folds 1 and 2 only." in text


def test_the_test_is_named_and_its_ratio_given(two):
    text = Tags(page_of(*two)).text
    assert "corrected resampled t-test (Nadeau and Bengio 2003" in text
    assert "a ratio of held-out to training images of 1.00" in text


def test_what_differs_between_the_settings_is_shown_and_nothing_else(two):
    page = page_of(*two)
    settings = page[page.index('<section id="settings">') : page.index('<section id="curves">')]
    assert "optim.lr_lora" in settings
    assert "<strong>5.0</strong>" in settings
    assert "data.theta" not in settings


def test_a_refused_comparison_is_on_the_page_with_its_reason(two, tmp_path):
    other = make_sweep(tmp_path / "c", (0.5, 0.5), name="other", data_hash="?")
    text = Tags(page_of(*two, other)).text
    assert "other: refused" in text
    assert "other data (data_hash)" in text
    assert "other minus default" not in text
    assert "no_swap minus default" in text


def test_nothing_is_fetched(two):
    for tag, attrs in Tags(page_of(*two)).tags:
        for name in ("src", "href", "data", "srcset", "action"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
    assert not re.search(r"@import|url\(", page_of(*two))


def test_names_are_escaped_wherever_they_stand(tmp_path):
    run = make_run(tmp_path / "x", name=ODD, image=ODD)
    other = make_run(tmp_path / "y", name="</title><img src=x onerror=alert(1)>")
    page = page_of(run, other)
    parsed = Tags(page)
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert not any("onerror" in attrs for _, attrs in parsed.tags)
    assert ODD in parsed.text
    assert "<b>x</b>" in parsed.text


def test_a_run_alone_makes_a_page(tmp_path):
    text = Tags(page_of(make_run(tmp_path / "x"))).text
    assert "1 recipe, 1 finished run." in text
    assert "Compared with" not in text


def test_unfinished_runs_alone_make_a_page_without_numbers(tmp_path):
    text = Tags(page_of(make_run(tmp_path / "x", status="running"))).text
    assert "default: no finished run at all." in text
    assert "still running, or killed" in text


def test_a_run_without_diagnosis_or_audit_still_makes_a_page(tmp_path):
    run = make_run(tmp_path / "x")
    for file in (*run.glob("diagnosis/*"), *run.glob("audit/*"), *run.glob("*.csv")):
        file.unlink()
    anchors = [attrs.get("id") for tag, attrs in Tags(page_of(run)).tags if tag == "section"]
    assert anchors == ["results", "settings", "curves", "health", "environment"]


@pytest.mark.parametrize("change", ["other columns", "texts", "empty"])
def test_tables_of_others_still_make_a_page(tmp_path, change):
    run = make_run(tmp_path / "run")
    for file in [*run.glob("*.csv"), *run.glob("diagnosis/*.csv")]:
        table = pd.read_csv(file)
        if change == "other columns":
            table.columns = [f"a {name}" for name in table.columns]
        table = table.head(0) if change == "empty" else table.map(lambda value: f"<{value}>")
        table.to_csv(file, index=False)
    assert "0.800" in Tags(page_of(run)).text  # of metrics.json


def test_an_image_that_is_gone_is_named_instead(tmp_path):
    text = Tags(page_of(make_run(tmp_path / "x"))).text
    assert "file no longer there" in text
    assert "d.png" in text


def test_findings_of_all_runs_are_reported(tmp_path):
    found = {
        "rule": "loss_spike",
        "severity": "warning",
        "found": "the loss leapt",
        "first_step": 7,
        "last_step": 9,
        "times": 2,
        "places": [],
        "actions": ["rolled back"],
        "helps": "Lower it.",
    }
    health = {"steps": 9, "skipped_steps": 0, "findings": [found]}
    run = make_run(tmp_path / "x", status="failed: health", error="HealthError: x", health=health)
    text = Tags(page_of(run)).text
    for part in ("loss_spike", "step 7, 2 times until step 9", "done: rolled back", "Lower it."):
        assert part in text


def test_folds_are_pooled_by_their_pairs(tmp_path):
    sweep = make_sweep(tmp_path / "s", (0.5, 0.6))
    table = sweep / "fold_2" / "diagnosis" / "accuracy_by_gap.csv"
    table.write_text("low,high,pairs,accuracy\n0.0,0.2,2,1.0\n0.2,0.6,0,\n")
    text = " ".join(Tags(page_of(sweep)).text.split())
    assert "0 to 0.2 8 0.625" in text  # (6 x 0.5 + 2 x 1.0) / 8
    assert "0.2 to 0.6 12 0.750" in text


ACCURACY = METRICS[0]


def concluded(first, second):
    one, two = (dict(enumerate(values, start=1)) for values in (first, second))
    found = compare(one, two, 0.25)
    assert found is not None
    return conclusion("a", "b", ACCURACY, found)


def test_a_conclusion_says_what_follows_and_what_does_not():
    clear = concluded([0.5, 0.51, 0.5], [0.7, 0.71, 0.701])
    assert "b is 0.200 higher than a" in clear
    assert "It is based only on folds 1, 2 and 3" in clear
    unclear = concluded([0.5, 0.6, 0.7], [0.6, 0.5, 0.72])
    assert "The difference is not significant" in unclear
    assert "no evidence that the two are equal" in unclear
    for few in ([0.5], [0.5, 0.6]):
        untested = concluded(few, [value - 0.1 for value in few])
        assert "0.100 lower than" in untested
        assert "A test needs 3 shared folds or more" in untested
        assert "p =" not in untested
    assert "no test is made" in concluded([0.5, 0.6, 0.7], [0.6, 0.7, 0.8])
    assert "is to three digits equal to" in concluded([0.5], [0.5])


def test_a_metric_with_a_significant_difference_gets_its_own_sentence(tmp_path):
    first = make_sweep(tmp_path / "a", (0.5, 0.5, 0.5))
    second = make_sweep(tmp_path / "b", (0.5, 0.5, 0.5), name="b", lr=1.0)
    assert "Spearman: over 3 shared folds" not in Tags(page_of(first, second)).text
    for fold in (1, 2, 3):
        file = second / f"fold_{fold}" / "metrics.json"
        moved = {"spearman": 0.9 + 0.0001 * fold}
        file.write_text(json.dumps(json.loads(file.read_text()) | moved))
    text = Tags(page_of(first, second)).text
    assert "Spearman: over 3 shared folds b is 0.350 higher than default. The difference" in text


def test_numbers_have_a_true_minus_and_no_negative_zero():
    assert (fixed(-0.25, 2), fixed(-0.0001), fixed(None)) == ("−0.25", "0.000", "–")
    assert (signed(0.5, 1), signed(-0.00001)) == ("+0.5", "0.000")
    assert (probability(0.0004), probability(0.0123)) == ("< 0.001", "0.012")


def test_a_drawing_places_points_to_scale_and_escapes_texts():
    plot = Plot(Axis(limits=(0, 2), title="<x>"), Axis(limits=(0, 1), title="y"))
    plot.dots([(1, 0.5)], "s0", ["a & b"])
    markup = plot.markup("what")
    assert 'cx="196.0" cy="119.0"' in markup  # the middle of 52 to 340 and of 10 to 228
    assert "&lt;x&gt;" in markup
    assert "a &amp; b" in markup


def test_a_long_curve_is_thinned_to_means():
    curve = [(float(step), 1.0) for step in range(1000)]
    assert len(thinned(curve)) <= 240
    assert thinned(curve)[0] == (2.0, 1.0)
    assert thinned(curve[:50]) == curve[:50]


def test_records_of_damaged_lines_do_not_stop_a_page(tmp_path):
    run = make_run(tmp_path / "x")
    (run / "metrics.jsonl").write_text("[1]\n\nnull\n" + json.dumps({"step": 1}))
    assert "Learning curves" in page_of(run)
