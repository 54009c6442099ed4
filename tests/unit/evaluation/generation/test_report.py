"""The report of written answers: what it holds, and that it travels."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from tests.unit.evaluation.generation.conftest import FIGURES, MakeReport, questions, written
from tunesmith.errors import DataError
from tunesmith.evaluation.generation.questions import Questions
from tunesmith.evaluation.generation.rivals import UNTUNED, WritingRival
from tunesmith.evaluation.generation.shown import choose_examples, measure_lengths
from tunesmith.evaluation.generation.types import Writing
from tunesmith.evaluation.types import Cost, Report


def _writing(report: Report) -> Writing:
    assert report.writing is not None
    return report.writing


def test_it_holds_all_scores_and_travels(make_report: MakeReport) -> None:
    report = make_report()
    assert report.kind == "completion"
    assert (_writing(report).lead, _writing(report).beside) == ("rouge_l", "chrf")
    assert report.metrics.keys() - report.intervals.keys() == FIGURES.keys()
    assert all(low.low <= report.metrics[name] <= low.high for name, low in report.intervals.items())
    assert len(report.rivals) == 6
    assert report.rivals[0].metrics["perplexity"] == 40.5
    assert all(rival.differences.keys() == report.intervals.keys() for rival in report.rivals)
    assert "tok:13a" in report.provenance["bleu"]
    assert (report.labels, report.calibration) == ((), None)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_the_verdict_begins_with_the_strongest_rival(make_report: MakeReport) -> None:
    report = make_report(skill=0.95)
    scores = {rival.name: rival.metrics["rouge_l"] for rival in report.rivals}
    strongest = max(scores, key=lambda name: scores[name])
    assert report.verdict.headline == "Better than all 6 rivals"
    assert report.verdict.sentences[0].startswith(f"Beats {strongest}: ROUGE-L is ")
    poor = make_report(skill=0.1).verdict
    assert poor.headline.startswith("Worse than ")
    assert UNTUNED not in poor.headline


def test_two_writers_are_compared_pairwise(make_report: MakeReport) -> None:
    test = questions(200, 1)
    weak = written(test, 0.7)
    strong = [reference if row < 12 else weak[row] for row, reference in enumerate(test.references)]
    rival = WritingRival("weak", "is weak", weak, 1.0, 1.0)
    report = make_report(test=test, answers=strong, rivals=(rival,))
    found = report.rivals[0].differences["rouge_l"]
    assert 0 < found.low < found.value < found.high
    apart = report.intervals["rouge_l"]
    assert found.high - found.low < (apart.high - apart.low) / 1.5


def test_the_same_input_gives_the_same_report(make_report: MakeReport) -> None:
    first, again = make_report(rivals=()), make_report(rivals=())
    assert first == again


def test_no_test_rows_are_refused(make_report: MakeReport) -> None:
    with pytest.raises(DataError, match="no-test-rows"):
        make_report(test=Questions("completion", [], [], []), answers=[], rivals=())


def test_without_sacrebleu_it_says_how_to_get_the_rest(make_report: MakeReport) -> None:
    report = make_report(rivals=(), score_corpus=lambda _references, _answers: ())
    assert not {"bleu", "chrf"} & report.metrics.keys()
    assert _writing(report).beside == "word_f1"
    assert "pip install 'tunesmith[generation]'" in _writing(report).notes[0]


def test_few_different_targets_are_judged_as_labels(make_report: MakeReport) -> None:
    test = Questions("chat", ["?"] * 60, ["yes", "no", "maybe"] * 20, ["a:1"] * 60)
    report = make_report(test=test, answers=["yes", "no", "perhaps"] * 20, rivals=(), cut=None)
    assert (report.kind, report.labels) == ("chat", ("maybe", "no", "yes"))
    assert (_writing(report).lead, _writing(report).beside) == ("macro_f1", "accuracy")
    assert [found.f1 for found in report.per_label] == [0, 1, 1]
    assert report.metrics["macro_f1"] == pytest.approx(2 / 3)
    assert _writing(report).outside == 20
    assert "20 answers were none of the few answers" in " ".join(report.verdict.sentences)


def test_empty_and_cut_answers_are_said_aloud(make_report: MakeReport) -> None:
    test = questions(110, 1)
    answers = ["" if row == 3 else "x" for row in range(110)]
    report = make_report(test=test, answers=answers, rivals=(), cut=[row < 2 for row in range(110)])
    assert report.verdict.sentences == (
        "1 answer was empty.",
        "2 answers were cut off at the most tokens that an answer may have.",
    )
    lengths = _writing(report).lengths
    assert (lengths.empty, lengths.cut) == (1, 2)


def test_examples_are_random_worst_and_best_and_never_twice() -> None:
    test = questions(40, 1)
    scores = np.linspace(0, 1, 40)
    found = choose_examples(test, list(test.references), scores, each=3, seed=0)
    assert [one.chosen for one in found] == ["random"] * 3 + ["worst"] * 3 + ["best"] * 3
    assert len({one.where for one in found}) == 9
    by_sort = {one.chosen: one.rouge_l for one in reversed(found)}
    assert by_sort["worst"] < 0.2
    assert by_sort["best"] > 0.8


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_have_few_examples(rows: int) -> None:
    test = questions(rows, 1)
    found = choose_examples(test, list(test.references), np.ones(rows), each=4, seed=0)
    assert len(found) == min(rows, 3)


def test_lengths_by_hand() -> None:
    lengths = measure_lengths(["a b c", "d"], ["x", "x y, z ü 日本"], None)
    assert [(one.low, one.high, one.answers, one.references) for one in lengths.bins] == [
        (0, 1, 0, 0),
        (1, 2, 1, 1),
        (2, 3, 0, 0),
        (3, 4, 0, 1),
        (4, 5, 0, 0),
        (5, 6, 0, 0),
        (6, 7, 1, 0),
    ]
    assert (lengths.answer_mean, lengths.answer_longest, lengths.reference_median) == (3.5, 6, 2)


@pytest.mark.parametrize("longest", [0, 13, 14, 200, 5_000])
def test_bins_are_few_and_hold_all(longest: int) -> None:
    texts = ["w " * length for length in [*range(20), longest]]
    bins = measure_lengths(texts, [*texts[:20], ""], None).bins
    assert len(bins) <= 14
    assert sum(one.references for one in bins) == sum(one.answers for one in bins) == 21
    assert all(one.high == two.low for one, two in pairwise(bins))
    assert (bins[-1].high is None) == (longest >= 28)


def test_one_row_is_enough(make_report: MakeReport) -> None:
    report = make_report(rows=1, rivals=(), curves=(), cost=Cost(None, 1.0), token_figures={})
    assert report.verdict.headline == "Not compared with any rival"
    assert "With only 1 test rows" in report.verdict.sentences[0]
