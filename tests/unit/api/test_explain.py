"""POST /v1/explain: what words did, behind all who wait for a label, and within limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.unit.api.conftest import KEY, LABELS, Client, MakeClient, refusal
from tests.unit.api.test_models import moods
from tests.waiting import until
from tunesmith.api.served import Loaded
from tunesmith.model.attributions import InTurn, at_once
from tunesmith.model.explanation import Explanation, TokenScore

EXPLAIN = "/v1/explain"


class Explains:
    """Says that every word counts for 1, in as many turns as there are words; the first two can be held."""

    def __init__(self) -> None:
        self.turns = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.second = threading.Event()
        self.second.set()
        self.how: dict[str, Any] = {}

    def __call__(
        self,
        texts: Sequence[str],
        label: str | None = None,
        *,
        micro_batch_tokens: int | None = None,
        most_tokens: int | None = None,
        in_turn: InTurn = at_once,
    ) -> list[Explanation]:
        self.how = {"micro_batch_tokens": micro_batch_tokens, "most_tokens": most_tokens}
        (text,) = texts
        words = text.split()
        for _ in words:
            in_turn(self._turn)
        starts = [sum(len(word) + 1 for word in words[:at]) for at in range(len(words))]
        tokens = (
            TokenScore(word, start, start + len(word), 1.0) for word, start in zip(words, starts, strict=True)
        )
        return [Explanation(text, label or LABELS[0], 3.0, 1.0, len(words) - 2.0, tuple(tokens))]

    def _turn(self) -> None:
        self.turns += 1
        assert (self.go_on if self.turns == 1 else self.second).wait(20)


@pytest.fixture
def explains() -> Iterator[Explains]:
    made = Explains()
    yield made
    made.go_on.set()
    made.second.set()


def ask(client: Client, text: object = "goal after goal", key: str | None = None, **more: object) -> Any:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.post(EXPLAIN, json={"input": text, **more}, headers=headers)


def test_every_token_has_its_place_and_score(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains)
    found = ask(client).json()
    assert found["model"] == "news"
    assert found["label"] == "sports"
    assert [token["text"] for token in found["tokens"]] == ["goal", "after", "goal"]
    assert [(word["start"], word["end"]) for word in found["words"]] == [(0, 4), (5, 10), (11, 15)]
    total = sum(token["score"] for token in found["tokens"])
    assert total == found["log_odds"] - found["baseline"] + found["gap"]
    assert ask(client, label="music").json()["label"] == "music"
    assert client.get("/v1/model").json()["explains"] is True


def test_a_model_without_gradients_says_so(client: Client) -> None:
    assert refusal(ask(client)) == (409, "no-gradients", None)
    assert client.get("/v1/model").json()["explains"] is False


def test_what_cannot_be_explained_is_refused(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains, max_characters=20)
    assert refusal(ask(client, " ")) == (400, "empty-input", "input")
    assert refusal(ask(client, ["a", "b"])) == (400, "bad-field", "input")
    assert refusal(ask(client, "a" * 21)) == (400, "text-too-long", "input")
    assert refusal(ask(client, label="none of them")) == (400, "unknown-label", "label")
    assert refusal(ask(client, model="none")) == (404, "no-such-model", "model")
    assert refusal(ask(client, top_k=1)) == (400, "unknown-field", "top_k")
    assert explains.turns == 0


def test_each_model_explains_for_itself(make_client: MakeClient, explains: Explains) -> None:
    mood = moods()
    others = [Loaded(mood.answers, mood.about, explain=explains)]
    client = make_client(others=others)
    assert ask(client, model="mood").json()["model"] == "mood"
    assert refusal(ask(client))[:2] == (409, "no-gradients")


def test_a_label_is_answered_between_two_turns(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains)
    explains.go_on.clear()
    explaining = client.start("POST", EXPLAIN, json={"input": "goal " * 50})
    until(lambda: explains.turns == 1)
    classifying = client.begin("music")
    until(lambda: client.app.state.context.waiting.taken == 1)
    until(lambda: client.app.state.context.models._turns._waiting.qsize() == 1)
    # behind the turn that had begun the label has its own, and the next one ends only when it is answered
    explains.second.clear()
    classifying.add_done_callback(lambda _done: explains.second.set())
    explains.go_on.set()
    assert classifying.result().status_code == 200
    assert len(explaining.result().json()["tokens"]) == 50


def test_so_many_wait_and_no_more(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains, max_explaining=2)
    explains.go_on.clear()
    waiting = [client.start("POST", EXPLAIN, json={"input": "goal"}) for _ in range(2)]
    until(lambda: client.app.state.context.explaining.taken == 2)
    response: httpx.Response = ask(client)
    assert refusal(response) == (429, "busy", None)
    assert response.headers["retry-after"]
    assert "tunesmith_explaining 2.0" in client.get("/metrics").text
    explains.go_on.set()
    assert [each.result().status_code for each in waiting] == [200, 200]
    assert "tunesmith_explained_total 2.0" in client.get("/metrics").text


def test_who_goes_away_ends_the_work(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains, max_explaining=1)
    explains.go_on.clear()
    explaining = client.start("POST", EXPLAIN, json={"input": "goal " * 50})
    until(lambda: explains.turns == 1)
    explaining.cancel()
    until(lambda: client.app.state.context.explaining.taken == 0)
    explains.go_on.set()
    assert ask(client, "a b").status_code == 200
    assert explains.turns < 50


def test_it_counts_as_what_it_costs(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains, texts_per_minute=60)
    assert ask(client).status_code == 200
    assert refusal(ask(client))[:2] == (429, "rate-limited")
    assert client.classify(["music"] * 10).status_code == 200
    assert refusal(client.classify("music"))[:2] == (429, "rate-limited")


def test_of_a_small_limit_it_takes_a_whole_minute(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains, texts_per_minute=10)
    assert ask(client).status_code == 200
    assert refusal(client.classify("music"))[:2] == (429, "rate-limited")


def test_a_turn_is_short_and_the_work_is_bounded(make_client: MakeClient, explains: Explains) -> None:
    ask(make_client(explain=explains, batch_tokens=1024))
    assert explains.how == {"micro_batch_tokens": 256, "most_tokens": 1 << 16}


def test_the_key_is_needed(make_client: MakeClient, explains: Explains) -> None:
    client = make_client(explain=explains, api_key=KEY)
    assert refusal(ask(client))[:2] == (401, "wrong-key")
    assert ask(client, key=KEY).status_code == 200
