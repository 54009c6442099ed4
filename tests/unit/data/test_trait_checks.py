"""What the check tells of beginnings and personal data, and what it does not show."""

from __future__ import annotations

from tests.unit.data.test_near_checks import rows
from tunesmith.data.check import check

FILL = " ".join(f"word{number}" for number in range(20))


def test_personal_data_is_counted_and_never_shown() -> None:
    texts = [f"{number} {FILL}" for number in range(4)]
    report = check(rows(*texts, "mail me@example.org", "call +49 30 1234567 or you@example.org"))
    told = {p.what: (p.where, p.count) for p in report.problems if p.code == "personal-data"}
    assert told == {
        "an e-mail address seems to stand in this text": ('f:5, column "text" (and 1 more row)', 2),
        "a telephone number seems to stand in this text": ('f:6, column "text"', 1),
    }
    assert "example.org" not in str(report.to_dict())


def test_what_many_texts_begin_with_is_told_as_no_fault() -> None:
    report = check(
        rows(*(f"LONDON (Reuters) - {n} {FILL} {n}" for n in range(30)), *("x y" for _ in range(3)))
    )
    (problem,) = (problem for problem in report.problems if problem.code == "boilerplate")
    assert problem.severity == "info"
    assert "100% of the texts begin with 'LONDON (Reuters) -'" in problem.what
    assert report.ok
