"""The pages hold nothing from elsewhere, no inline code, and escape what they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.unit.api.conftest import KEY, LABELS, Client, FakePredictor, MakeClient, refusal
from tests.unit.api.test_models import moods
from tests.unit.evaluation.conftest import MakeReport, make_report
from tests.unit.evaluation.understanding.test_shown import understood
from tunesmith.api.quotas import Quotas
from tunesmith.api.served import Loaded
from tunesmith.api.settings import Settings

__all__ = ["make_report"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_obeys_its_own_policy(client: Client, path: str) -> None:
    page = client.get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert all(url.startswith("http://localhost:8000") for url in re.findall(r"https?://[\w.:-]+", page))


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_what_a_page_loads_is_there_and_may_be_kept(client: Client, path: str) -> None:
    loaded = re.findall(r'(?:src|href)="(static/[^"]+)"', client.get(path).text)
    assert loaded
    for name in loaded:
        response = client.get(f"/{name}")
        assert response.status_code == 200
        assert response.headers["cache-control"].endswith("immutable")
        assert "http" not in response.text.replace("http://www.w3.org/2000/svg", "")


def test_the_page_shows_the_model(client: Client) -> None:
    page = client.get("/").text
    assert all(f"<li>{label}</li>" in page for label in LABELS)
    assert "curl <span data-url>http://localhost:8000</span>/v1/classify" in page
    assert "<noscript>" in page
    assert "Authorization" not in page


def test_labels_are_escaped(make_client: MakeClient) -> None:
    labels = ("<script>alert(1)</script>", '"&', *(f"label {number}" for number in range(50)))
    page = make_client(FakePredictor(labels)).get("/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "12 more" in page


def test_where_a_key_is_needed_the_page_asks_for_it_and_tells_nothing(make_client: MakeClient) -> None:
    page = make_client(api_key=KEY).get("/").text
    assert 'id="key"' in page
    assert "Authorization: Bearer YOUR_KEY" in page
    assert not [label for label in LABELS if label in page]


def test_the_reference_has_every_operation_and_field(client: Client) -> None:
    page = client.get("/docs").text
    schema = client.get("/openapi.json").json()
    assert all(f"</b> {path}</h2>" in page for path in schema["paths"])
    for name in ("input", "top_k", "results", "truncated", "usage", "tokens", "macro_f1"):
        assert f"<code>{name}</code>" in page
    assert "integer (from 1 to 6) or null" in page
    assert "list (at most 256) of string (at most 1,048,576 characters)" in page


def test_the_schema_says_what_every_route_takes_and_may_refuse(client: Client) -> None:
    schema = client.get("/openapi.json").json()

    def places(part: object) -> Iterator[str]:
        match part:
            case {"$ref": str(place)}:
                yield place
            case dict():
                yield from (place for value in part.values() for place in places(value))
            case list():
                yield from (place for value in part for place in places(value))

    for place in places(schema):
        found = schema
        for name in place.removeprefix("#/").split("/"):
            found = found[name]
    routes = {
        f"{method.upper()} {path}": values
        for path, of in schema["paths"].items()
        for method, values in of.items()
    }
    assert {
        *("POST /v1/classify", "GET /v1/model", "GET /v1/models", "POST /v1/models"),
        *("PUT /v1/models/{name}", "DELETE /v1/models/{name}", "POST /v1/batches"),
        "POST /v1/explain",
        *("GET /v1/batches/{batch_id}", "DELETE /v1/batches/{batch_id}", "GET /v1/batches/{batch_id}/result"),
    } <= routes.keys()
    assert set(routes["POST /v1/classify"]["requestBody"]["content"]) == {
        "application/json",
        "application/x-ndjson",
    }
    assert set(routes["POST /v1/batches"]["requestBody"]["content"]) == {"text/csv", "application/x-ndjson"}
    lines = routes["POST /v1/classify"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    assert [set(either["properties"]) >= {"id"} for either in lines["anyOf"]] == [True, True]
    assert routes["DELETE /v1/models/{name}"]["responses"]["409"]["description"] == "last-model"


def test_the_schema_tells_what_every_answer_has(make_client: MakeClient) -> None:
    client = make_client(api_key=KEY)
    schema = client.get("/openapi.json").json()
    assert "HTTPValidationError" not in str(schema)
    for path, methods in schema["paths"].items():
        for of in methods.values():
            assert ("security" in of) == (path not in ("/healthz", "/readyz"))
            assert all(answer["headers"]["X-Request-Id"]["required"] for answer in of["responses"].values())
            assert ("429" in of["responses"]) == path.startswith("/v1/")
            if path.startswith("/v1/"):
                assert all("Retry-After" in of["responses"][status]["headers"] for status in ("429", "503"))
    assert "securitySchemes" not in make_client().get("/openapi.json").json()["components"]


def test_each_of_several_models_has_its_page(make_client: MakeClient) -> None:
    client = make_client(others=[moods()])
    first, second = client.get("/").text, client.get("/?model=mood").text
    for page in (first, second):
        assert re.findall(r'href="\./\?model=(\w+)"', page) == ["news", "mood"]
    assert 'data-model="news"' in first
    assert "<li>sports</li>" in first
    assert "&#34;model&#34;" not in first
    assert 'data-model="mood"' in second
    assert "<li>good</li>" in second
    assert '&#34;model&#34;: "mood"' in second
    assert refusal(client.get("/?model=none"))[:2] == (404, "no-such-model")


def test_one_model_is_not_offered_as_a_choice(client: Client) -> None:
    page = client.get("/").text
    assert "data-model" not in page
    assert "?model=" not in page


def test_where_a_key_is_needed_no_name_is_told(make_client: MakeClient) -> None:
    client = make_client(others=[moods()], api_key=KEY)
    for path in ("/", "/?model=mood", "/?model=none"):
        page = client.get(path)
        assert page.status_code == 200
        assert "mood" not in page.text


SECRET = "a text of the data"


@pytest.fixture
def report(make_report: MakeReport) -> Callable[[], object]:
    made = make_report(labels=LABELS, text=SECRET)
    told = made.provenance | {"base": "/home/someone/gpt2", "data": "train: /home/someone/secret.csv"}
    return replace(made, provenance=told, understanding=understood(made, LABELS, 300)).to_dict


def test_the_report_is_shown_without_a_text_or_a_path(
    make_client: MakeClient, report: Callable[[], object]
) -> None:
    client = make_client(report=report)
    assert SECRET in str(report())
    page = client.get("/report?model=news")
    assert page.status_code == 200
    assert "evaluated on 300 test rows" in page.text
    assert "How it learned" in page.text
    assert not [word for word in (SECRET, "test.csv", "/home/", "secret") if word in page.text]
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", page.text)
    assert "unsafe" not in page.headers["content-security-policy"]
    (style,) = re.findall(r'<link rel="stylesheet" href="(static/report[^"]+)"', page.text)
    assert client.get(f"/{style}").headers["content-type"].startswith("text/css")
    assert client.get("/v1/model").json()["has_report"] is True


def test_without_a_report_there_is_none(client: Client, make_client: MakeClient) -> None:
    assert refusal(client.get("/report"))[:2] == (404, "no-report")
    assert "report?model=" not in client.get("/").text
    damaged = make_client(report=lambda: {"rows": "many"})
    assert refusal(damaged.get("/report"))[:2] == (404, "no-report")


def test_reports_and_facts_need_the_key(make_client: MakeClient, report: Callable[[], object]) -> None:
    client = make_client(report=report, api_key=KEY)
    for path in ("/report", "/opened", "/opened?model=news"):
        assert refusal(client.get(path))[:2] == (401, "wrong-key")
        assert client.get(path, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    opened = client.get("/opened", headers={"Authorization": f"Bearer {KEY}"}).text
    assert all(f"<li>{label}</li>" in opened for label in LABELS)
    assert "report?model=news" in opened
    assert KEY not in opened


def test_every_model_stands_in_the_table(make_client: MakeClient) -> None:
    page = make_client(others=[moods()]).get("/").text
    rows = re.findall(r'<tr(?: class="ours")?>\s*<th scope="row">(.*?)</tr>', page, re.DOTALL)
    assert [row.partition("</th>")[0] for row in rows] == ["news", "mood"]
    assert ["<td>embedded</td>" in row for row in rows] == [True, False]
    assert "<td>gpt2</td>" in rows[1]
    assert "<option>mood</option>" in page


def test_what_the_page_knows_cannot_end_its_attribute(make_client: MakeClient) -> None:
    nasty = Loaded(FakePredictor(), {"model": "a'\"><b>x</b>"})
    page = make_client(others=[nasty]).get("/").text
    assert "<b>x" not in page


def test_tables_are_offered_only_where_batches_are_taken(make_client: MakeClient) -> None:
    assert 'id="table"' in make_client().get("/").text
    apart = make_client(quotas=Quotas(Settings()))
    assert 'id="table"' not in apart.get("/").text
    assert "/v1/batches" not in apart.get("/openapi.json").json()["paths"]
