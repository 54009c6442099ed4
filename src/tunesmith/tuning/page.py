"""A search as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.evaluation.page import render_page
from tunesmith.tuning.pictures import history_chart, importance_bars, parallel_coordinates
from tunesmith.tuning.space import Dimension
from tunesmith.tuning.types import Tuning, lead_of, said

__all__ = ["as_page"]

_UNPROVEN = "The final model is not trained yet"


def as_page(found: Tuning, space: Sequence[Dimension]) -> str:
    """The whole search; every text in it is escaped."""
    compared = found.comparison
    assert found.default.score is not None
    figures = [name for name in found.best.figures if name != "score"]
    tried = [trial for trial in found.trials if trial.note != "surplus"]
    return render_page(
        "tuning.html.jinja",
        found.report,
        found.directory.name,
        {
            "found": found,
            "finished": sum(trial.finished for trial in tried),
            "headline": compared.headline if compared else _UNPROVEN,
            "sentences": compared.sentences if compared else (),
            "rival": compared.test if compared else None,
            "lead": lead_of(found.report) if found.report else None,
            "history": history_chart(found.trials, found.default.score),
            "importance": importance_bars(found.importances) if found.importances else None,
            "parallel": parallel_coordinates(found.trials, space),
            "figures": figures,
            "space": space,
            "said": said,
        },
    )
