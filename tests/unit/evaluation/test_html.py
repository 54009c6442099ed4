"""The page: self-contained, inert, accessible, readable in light and dark, for two labels and for ninety."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.unit.evaluation.conftest import CURVES, MakeReport
from tunesmith.evaluation.html import as_html
from tunesmith.evaluation.types import Cost

NASTY = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "</style></svg>")
MANY = tuple(f"label {index}" for index in range(90))
_VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Every element with its attributes; knows whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute stands twice in <{tag}>"
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.found if found == tag]


@pytest.fixture(params=[("a", "b"), NASTY, MANY], ids=["two", "nasty", "ninety"])
def html(request: pytest.FixtureRequest, make_report: MakeReport) -> str:
    report = make_report(labels=request.param, rows=400, text="<script>alert('row')</script> <b>x</b> &amp;")
    return as_html(report, "<script>title</script>")


def test_elements_nest(html: str) -> None:
    assert html.startswith("<!doctype html>")
    assert Page(html).open == []


def test_no_script_runs_and_nothing_is_fetched(html: str) -> None:
    page = Page(html)
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    names = {name for _, attributes in page.found for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "href", "srcset", "xlink:href", "action"}
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(one for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")


def test_texts_stand_there_escaped(html: str) -> None:
    assert "&lt;script&gt;alert(&#39;row&#39;)&lt;/script&gt; &lt;b&gt;x&lt;/b&gt; &amp;amp;" in html
    assert "&lt;script&gt;title&lt;/script&gt;" in html


def test_a_template_in_a_label_is_only_text(make_report: MakeReport) -> None:
    assert "{{ 7 * 7 }}" in as_html(make_report(labels=NASTY), "t")


def test_it_can_be_read_aloud(html: str) -> None:
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    assert all(one.get("role") == "img" for one in page.all("svg"))
    assert len(page.all("h1")) == 1
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.found:
        named = (attributes.get("aria-labelledby") or "").split()
        assert set(named) <= set(ids)
    for box in page.all("div"):
        if "scroll" in (box.get("class") or "").split():
            assert box["tabindex"] == "0"
            assert box["aria-label"]


def test_charts_are_well_formed_and_titled(html: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) >= 5
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root[0].tag == "title"
        assert root[0].text
        assert "nan" not in drawing.lower()


def test_wide_things_scroll_in_their_own_box(html: str) -> None:
    for table in re.finditer("<table>", html):
        assert 'class="scroll' in html[table.start() - 300 : table.start()]
    assert 'name="viewport"' in html


def test_ninety_labels_are_capped_where_they_would_not_fit(make_report: MakeReport) -> None:
    html = as_html(make_report(labels=MANY, rows=400), "t")
    assert "Of 90 labels, the 14 with the most mistakes are shown." in html
    assert "The weakest come first." in html
    heat = html[html.index("confusion-title") : html.index("Most frequent confusions")]
    assert heat.count("<rect") == 14 * 14
    assert all(f">{label}</th>" in html for label in MANY)


def test_few_labels_are_not_capped(make_report: MakeReport) -> None:
    assert "with the most mistakes are shown" not in as_html(make_report(), "t")


def test_it_begins_with_the_verdict_and_the_figures(make_report: MakeReport) -> None:
    report = make_report()
    html = as_html(report, "reviews")
    head = html[html.index("<header>") : html.index("</header>")]
    assert f"<h1>{report.verdict.headline}</h1>" in head
    for value in (report.metrics["macro_f1"], report.metrics["accuracy"]):
        assert f"{value:.3f}" in head
    assert 'trained in <span class="whole">3 min 34 s</span>' in head
    measured = as_html(make_report(cost=Cost(214.0, 3.4, 3 << 29)), "reviews")
    assert ' with <span class="whole">1.5 GiB</span>' in measured
    for mistake in report.mistakes:
        assert mistake.where in html


def test_what_was_not_measured_is_left_out(make_report: MakeReport) -> None:
    html = as_html(make_report(rivals=(), curves=(), cost=Cost(None, 1.0), skill=99.0), "t")
    assert Page(html).open == []
    assert "Against cheap rivals" not in html
    assert "How it learned" not in html
    assert "trained in" not in html
    assert "Every test row was answered rightly." in html


@pytest.mark.parametrize(
    "curves",
    [
        CURVES[:1],
        [{"step": 0, "macro_f1": 1.0, "train_loss": 0.0}],
        [{"step": 5, "train_loss": None, "validation_loss": None, "macro_f1": 0.0}],
        [{"step": step, "epoch": 1, "train_loss": 1e6 / (1 + step)} for step in range(1_000)],
    ],
    ids=["one", "zero", "gaps", "long"],
)
def test_odd_curves_are_drawn(make_report: MakeReport, curves: list[dict[str, float | None]]) -> None:
    html = as_html(make_report(curves=curves), "t")
    assert "How it learned" in html
    points = re.findall(r'points="([^"]*)"', html)
    assert all(1 <= len(one.split()) <= 150 for one in points)
    assert "nan" not in "".join(points)


def test_curves_run_over_epochs_unless_one_epoch_was_measured_twice(make_report: MakeReport) -> None:
    assert ">epoch</text>" in as_html(make_report(curves=CURVES), "t")
    assert ">step</text>" in as_html(make_report(curves=[one | {"epoch": 1} for one in CURVES]), "t")


def test_the_same_report_gives_the_same_page(make_report: MakeReport) -> None:
    assert as_html(make_report(), "t") == as_html(make_report(), "t")


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(make_report: MakeReport, scheme: str) -> None:
    html = as_html(make_report(), "t")
    light, dark = re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)[:2]
    assert "prefers-color-scheme: dark" in html[html.index(light) : html.index(dark)]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    pairs = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("paper", "surface")]
    pairs += [("on-pale", f"h{shade}") for shade in range(5)]
    pairs += [("on-deep", f"h{shade}") for shade in range(5, 8)]
    too_faint = {pair: _contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: value for pair, value in too_faint.items() if value < 4.5} == {}
    # what is no text needs less, but must be seen
    for drawn in ("accent", "quiet"):
        assert _contrast(colours[drawn], colours["surface"]) >= 3
