"""POST /v1/classify and GET /v1/model, where all goes well."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tests.unit.api.conftest import KEY, LABELS, Client, FakePredictor, MakeClient, refusal
from tunesmith.predict import Prediction


def test_one_text_gives_a_list_of_one_result(client: Client) -> None:
    values = client.classify("sports sports in the weather").json()
    (result,) = values["results"]
    assert values["model"] == "news"
    assert values["usage"] == {"texts": 1, "tokens": 5}
    assert result["label"] == "sports"
    assert result["score"] == result["scores"][0]["score"]
    assert [row["label"] for row in result["scores"][:2]] == ["sports", "weather"]
    assert result["truncated"] is False


def test_results_keep_the_order_of_the_texts(client: Client) -> None:
    texts = [LABELS[index % len(LABELS)] for index in range(200)]
    values = client.classify(texts).json()
    assert [result["label"] for result in values["results"]] == texts
    assert values["usage"] == {"texts": 200, "tokens": 200}


def test_a_long_text_is_said_to_be_cut(client: Client) -> None:
    values = client.classify("music " * 20).json()
    assert values["results"][0]["truncated"] is True
    assert values["usage"]["tokens"] == 8


@pytest.mark.parametrize(("top_k", "shown"), [(None, 5), (1, 1), (6, 6)])
def test_top_k_labels_are_shown(client: Client, top_k: int | None, shown: int) -> None:
    (result,) = client.classify("travel", top_k=top_k).json()["results"]
    scores = [row["score"] for row in result["scores"]]
    assert len(scores) == shown
    assert scores == sorted(scores, reverse=True)


def test_top_k_may_not_pass_the_labels_nor_the_cap(make_client: MakeClient) -> None:
    assert refusal(make_client().classify("travel", top_k=7)) == (400, "bad-top-k", "top_k")
    assert refusal(make_client(max_top_k=2).classify("travel", top_k=3)) == (400, "bad-top-k", "top_k")
    assert len(make_client(max_top_k=2).classify("travel", top_k=2).json()["results"][0]["scores"]) == 2


def test_left_out_top_k_stays_within_few_labels(make_client: MakeClient) -> None:
    client = make_client(FakePredictor(labels=("yes", "no")))
    assert len(client.classify("yes").json()["results"][0]["scores"]) == 2


def test_left_out_top_k_stays_within_the_cap(make_client: MakeClient) -> None:
    assert len(make_client(max_top_k=2).classify("travel").json()["results"][0]["scores"]) == 2


def test_the_model_tells_about_itself(client: Client) -> None:
    facts = client.get("/v1/model").json()
    assert facts["labels"] == list(LABELS)
    assert facts["max_tokens"] == 8
    assert facts["base"] == "embedded"
    assert facts["macro_f1"] is None


def test_a_model_that_answers_nan_is_a_fault_and_not_bad_json(client: Client) -> None:
    assert refusal(client.classify("nan"))[:2] == (500, "server-fault")


def test_the_server_is_ready_once_the_model_has_answered(
    make_client: MakeClient, predictor: FakePredictor
) -> None:
    predictor.go_on.clear()
    client = make_client()
    assert client.get("/readyz").status_code == 503
    assert client.get("/readyz").json() == {"status": "loading"}
    assert client.get("/healthz").json() == {"status": "alive"}
    predictor.go_on.set()
    assert client.classify("sports").status_code == 200
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_model_that_cannot_warm_up_is_never_ready(make_client: MakeClient) -> None:
    class Broken(FakePredictor):
        def predict(self, texts: Sequence[str]) -> list[Prediction]:
            raise RuntimeError

    client = make_client(Broken())
    time.sleep(0.1)
    assert client.get("/readyz").status_code == 503
    assert refusal(client.classify("sports"))[1] == "server-fault"


def test_the_schema_says_what_this_server_takes(make_client: MakeClient) -> None:
    client = make_client(max_texts=7, max_characters=99, api_key=KEY)
    schema = client.get("/openapi.json").json()
    body = schema["paths"]["/v1/classify"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    one, many = body["properties"]["input"]["oneOf"]
    assert one["maxLength"] == 99
    assert many["maxItems"] == 7
    assert body["properties"]["top_k"]["anyOf"][0]["maximum"] == len(LABELS)
    assert body["additionalProperties"] is False
