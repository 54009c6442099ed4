"""Report of a model that writes: the same proof, over texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunesmith.evaluation.generation.corpus import HOW_TO_GET, corpus_scores
from tunesmith.evaluation.generation.questions import Questions
from tunesmith.evaluation.generation.rivals import WritingRival
from tunesmith.evaluation.generation.scores import Measured, ScoreCorpus, few_values, measure_answers
from tunesmith.evaluation.generation.shown import choose_examples, measure_lengths
from tunesmith.evaluation.generation.types import Lengths, Writing
from tunesmith.evaluation.intervals import Resampled, intervals
from tunesmith.evaluation.mcnemar import mcnemar
from tunesmith.evaluation.report import finite, how_intervals, label_rows_of, refuse_no_rows, score_rival
from tunesmith.evaluation.types import Cost, LabelScore, Report, RivalScore
from tunesmith.evaluation.verdict import judge
from tunesmith.evaluation.wording import ACCURACY, CHRF, MACRO_F1, ROUGE_L, WORD_F1, Score
from tunesmith.model.language import TokenSums

__all__ = ["build_generation_report"]


def build_generation_report(
    *,
    test: Questions,
    answers: Sequence[str],
    token_figures: Mapping[str, float],
    rivals: Sequence[WritingRival],
    curves: Sequence[Mapping[str, int | float | None]],
    cost: Cost,
    provenance: Mapping[str, str],
    seed: int,
    cut: Sequence[bool] | None = None,
    tokens: TokenSums | None = None,
    examples: int = 4,
    score_corpus: ScoreCorpus = corpus_scores,
) -> Report:
    """Measure answers (rows,) against the references of `test`, beside what the rivals answered.

    `token_figures` are token_accuracy, perplexity and log_loss over the learned tokens, which have intervals
    where their `tokens` are given; `cut` says which answers were ended by their limit; `examples` are shown
    of the best, the worst and random ones.
    Raises DataError where `test` has no row.
    """
    refuse_no_rows(test)
    values = few_values(test.references)
    measured = measure_answers(test.references, answers, values, tokens=tokens, score_corpus=score_corpus)
    metrics, resampled = measured.metrics, measured.resample(seed=seed)
    lead, beside = _deciding(metrics)
    scored = tuple(_judged(rival, test, values, seed, measured, resampled, score_corpus) for rival in rivals)
    # a reader of the verdict should meet the strongest first
    strongest = sorted(scored, key=lambda rival: -rival.metrics[lead.key])
    lengths = measure_lengths(test.references, answers, cut)
    per_label = _per_value(values, measured, resampled)
    cautions = _cautions(lengths, measured.outside)
    return Report(
        labels=values,
        rows=len(test),
        metrics=metrics | dict(token_figures),
        intervals=intervals(resampled, metrics),
        per_label=per_label,
        confusion=(),
        calibration=None,
        rivals=scored,
        mistakes=(),
        verdict=judge(strongest, per_label, len(test), beside, lead, cautions),
        cost=cost,
        provenance=_provenance(provenance, measured, seed),
        curves=tuple(finite(point) for point in curves),
        kind=test.kind,
        writing=Writing(
            lead=lead.key,
            beside=beside.key,
            examples=choose_examples(test, answers, measured.by_row["rouge_l"], each=examples, seed=seed),
            lengths=lengths,
            values=len(values),
            outside=measured.outside,
            notes=() if measured.corpora else (HOW_TO_GET,),
        ),
    )


def _deciding(metrics: Mapping[str, float]) -> tuple[Score, Score]:
    """The score that decides, and the one beside it: by what is asked for, never by how it came out."""
    if "macro_f1" in metrics:
        return MACRO_F1, ACCURACY
    return ROUGE_L, CHRF if "chrf" in metrics else WORD_F1


def _judged(
    rival: WritingRival,
    test: Questions,
    values: Sequence[str],
    seed: int,
    model: Measured,
    model_resampled: Resampled,
    score_corpus: ScoreCorpus,
) -> RivalScore:
    measured = measure_answers(
        test.references, rival.answers, values, tokens=rival.tokens, score_corpus=score_corpus
    )
    metrics = measured.metrics | dict(rival.token_figures)
    resampled = measured.resample(seed=seed)
    exact = (each.by_row["exact_match"] > 0 for each in (model, measured))
    return score_rival(rival, metrics, resampled, model.metrics, model_resampled, mcnemar(*exact))


def _per_value(values: Sequence[str], measured: Measured, resampled: Resampled) -> tuple[LabelScore, ...]:
    counts = measured.counts
    if counts is None:
        return ()
    return label_rows_of(values, counts, resampled)


def _cautions(lengths: Lengths, outside: int) -> list[str]:
    told = [
        (lengths.empty, "empty"),
        (lengths.cut or 0, "cut off at the most tokens that an answer may have"),
        (outside, "none of the few answers that the references give"),
    ]
    return [f"{_answers(rows)} {what}." for rows, what in told if rows]


def _answers(rows: int) -> str:
    return f"{rows:,} answers were" if rows > 1 else "1 answer was"


def _provenance(given: Mapping[str, str], measured: Measured, seed: int) -> dict[str, str]:
    signatures = {each.key: f"sacrebleu, {each.signature}" for each in measured.corpora}
    return dict(given) | signatures | {"intervals": how_intervals(seed)}
