"""The official client, which validates what it gets, beside what the models say themselves."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from tests.integration.answering.conftest import CHATTER, CLASSIFIER, LABELS, WRITER, Bundles, Live
from tunesmith.data.formats.openai import flattened
from tunesmith.studio.answering.asked import MOST_CHOICES, MOST_PROMPTS

TEXT = "the striker scored a late goal"
SAID: Any = [{"role": "user", "content": TEXT}]
GREEDY: Any = {"temperature": 0, "max_completion_tokens": 12, "logit_bias": {"0": -100}}


def test_a_chat_says_what_the_writer_says(client: OpenAI, bundles: Bundles) -> None:
    (written,) = bundles.writer.write([SAID], max_new_tokens=12)
    for model in ("tiny", CHATTER):
        told = client.chat.completions.create(model=model, messages=SAID, temperature=0, max_tokens=12)
        (choice,) = told.choices
        assert (choice.message.content, choice.finish_reason) == (written.text, written.finish_reason)
        assert told.usage is not None
        assert told.usage.prompt_tokens == written.prompt_tokens
        assert told.usage.completion_tokens == written.tokens
        assert told.usage.total_tokens == written.prompt_tokens + written.tokens
        assert (told.model, told.id[:9]) == (model, "chatcmpl-")
        assert told.system_fingerprint is not None


def test_a_stream_says_the_same_in_pieces(client: OpenAI) -> None:
    how: Any = {"model": "tiny", "messages": SAID, **GREEDY, "n": 2, "logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**how)
    chunks = list(client.chat.completions.create(**how, stream=True, stream_options={"include_usage": True}))
    assert [chunk.choices[0].delta.role for chunk in chunks[:2]] == ["assistant"] * 2
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert {chunk.usage for chunk in chunks[:-1]} == {None}
    for choice in whole.choices:
        mine = [chunk.choices[0] for chunk in chunks[:-1] if chunk.choices[0].index == choice.index]
        assert "".join(each.delta.content or "" for each in mine) == choice.message.content
        assert [each.finish_reason for each in mine][-2:] == [None, choice.finish_reason]
        assert choice.logprobs is not None
        told = [token for each in mine if each.logprobs for token in each.logprobs.content or ()]
        assert told == choice.logprobs.content


def test_log_probabilities_are_those_of_what_was_said(client: OpenAI) -> None:
    told = client.chat.completions.create(
        model="tiny", messages=SAID, **GREEDY, logprobs=True, top_logprobs=20
    )
    assert told.choices[0].logprobs is not None
    tokens = told.choices[0].logprobs.content or []
    data = b"".join(bytes(token.bytes or []) for token in tokens)
    assert data.decode(errors="replace") == told.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 20
        assert sum(math.exp(each.logprob) for each in token.top_logprobs) <= 1 + 1e-6


def test_one_seed_says_one_thing(client: OpenAI) -> None:
    how: Any = {"model": "tiny", "messages": SAID, "max_tokens": 16, "n": 2, "logit_bias": {"0": -100}}
    told = [client.chat.completions.create(**how, seed=seed) for seed in (-1, -1, 7)]
    said = [[choice.message.content for choice in each.choices] for each in told]
    assert said[0] == said[1]
    assert said[0] != said[2]
    assert said[0][0] != said[0][1]
    drawn = [client.chat.completions.create(**how).choices[0].message.content for _ in range(2)]
    assert drawn[0] != drawn[1]


def test_what_is_asked_of_the_answer_is_done(client: OpenAI) -> None:
    def said(**how: Any) -> Any:
        return client.chat.completions.create(model="tiny", messages=SAID, **{**GREEDY, **how}).choices[0]

    plain = said().message.content
    assert said(stop=plain[3]).message.content == plain[: plain.index(plain[3])]
    assert said(stop=plain[3]).finish_reason == "stop"
    assert said(frequency_penalty=2, presence_penalty=2).message.content != plain
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    held = said(response_format=form, max_completion_tokens=40)
    assert json.loads(held.message.content)["a"] in (1, 2)
    assert said(response_format={"type": "text"}, logprobs=None, top_logprobs=None).message.content == plain


def test_coroutines_are_answered_together(live: Live) -> None:
    async def ask(texts: list[str]) -> list[str | None]:
        async with live.patient() as client:
            asked = [
                client.chat.completions.create(
                    model="tiny", messages=[{"role": "user", "content": text}], **GREEDY
                )
                for text in texts
            ]
            stream = await client.chat.completions.create(model="tiny", messages=SAID, stream=True, **GREEDY)
            told = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            return [told, *(each.choices[0].message.content for each in await asyncio.gather(*asked))]

    answers = asyncio.run(ask([TEXT, "parliament", TEXT]))
    assert answers[0] == answers[1] == answers[3] != answers[2]


def test_parts_of_a_text_are_a_text(client: OpenAI) -> None:
    def said(content: Any) -> str | None:
        messages: Any = [{"role": "user", "content": content, "name": None}]
        how: Any = {"model": "tiny", "messages": messages, **GREEDY}
        told: ChatCompletion = client.chat.completions.create(**how)
        return told.choices[0].message.content

    parts = [{"type": "text", "text": "the"}, {"type": "text", "text": "coach"}]
    assert said(parts) == said("the\ncoach") != said("the")


def test_completions_go_on_with_texts_and_tokens(client: OpenAI, live: Live, bundles: Bundles) -> None:
    how: Any = {"model": "tiny", "temperature": 0, "max_tokens": 6, "logit_bias": {"0": -100}}
    ids = bundles.writer.generator.tokenizer(TEXT)["input_ids"]
    one = client.completions.create(prompt=TEXT, **how)
    assert client.completions.create(prompt=ids, **how).choices[0].text == one.choices[0].text
    both = client.completions.create(prompt=["parliament", TEXT], n=2, best_of=2, **how)
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert both.choices[2].text == both.choices[3].text == one.choices[0].text
    assert one.usage is not None
    assert (one.usage.prompt_tokens, one.usage.completion_tokens, one.id[:5]) == (len(ids), 6, "cmpl-")
    # until its end a choice has no `finish_reason`, which the client's own types do not know
    lenient = live.client(_strict_response_validation=False)
    lists = lenient.completions.create(prompt=[ids, ids[:2]], stream=True, **how)
    said = {0: "", 1: ""}
    for chunk in lists:
        said[chunk.choices[0].index] += chunk.choices[0].text
    assert said[0] == one.choices[0].text
    assert len(client.completions.create(model="tiny", prompt="goal").choices[0].text) > 0


def test_completions_tell_where_each_token_stands(client: OpenAI, live: Live) -> None:
    how: Any = {"model": "tiny", "prompt": TEXT}
    # held from its end: it is drawn anew each time
    endless: Any = {"max_tokens": 4, "logit_bias": {"0": -100}}
    told = client.completions.create(**how, **endless, logprobs=2).choices[0].logprobs
    assert told is not None
    assert [len(each) for each in (told.tokens or (), told.text_offset or ())] == [4, 4]
    assert all(token in each for token, each in zip(told.tokens or (), told.top_logprobs or (), strict=True))
    body = {**how, "max_tokens": 0, "logprobs": 1, "echo": True}
    with live.http() as http:
        # the first token of a prompt has no probability, which the client's own types do not know
        echoed = http.post("/v1/completions", json=body).json()["choices"][0]
    assert (echoed["text"], echoed["finish_reason"]) == (TEXT, "length")
    about = echoed["logprobs"]
    assert about["token_logprobs"][0] is about["top_logprobs"][0] is None
    assert all(value <= 0 for value in about["token_logprobs"][1:])
    ends = [*about["text_offset"][1:], len(TEXT)]
    assert [TEXT[a:b] for a, b in zip(about["text_offset"], ends, strict=True)] == about["tokens"]


def test_a_model_of_pairs_reads_a_prompt_as_it_learned_to(client: OpenAI) -> None:
    how: Any = {"model": WRITER, "temperature": 0, "max_tokens": 12}
    chat = client.chat.completions.create(messages=SAID, **how).choices[0].message.content
    assert client.completions.create(prompt=TEXT, **how).choices[0].text == chat
    assert client.completions.create(prompt=TEXT, **{**how, "model": CHATTER}).choices[0].text != chat
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(prompt=TEXT, echo=True, **how)
    assert (caught.value.code, caught.value.param) == ("not-supported", "echo")


@pytest.mark.parametrize(
    "said",
    [
        SAID,
        [{"role": "system", "content": "Say politics, sports or weather."}, *SAID],
        [*SAID, {"role": "assistant", "content": "sports"}, {"role": "user", "content": "the vote"}],
    ],
)
def test_a_classifier_says_the_label_of_the_text_that_training_reads(
    client: OpenAI, bundles: Bundles, said: Any
) -> None:
    row = flattened({"messages": [*said, {"role": "assistant", "content": "weather"}]})
    (prediction,) = bundles.predictor.predict([str(row["text"])])
    told = client.chat.completions.create(
        model=CLASSIFIER, messages=said, logprobs=True, top_logprobs=20, max_tokens=1
    )
    choice = told.choices[0]
    assert (choice.message.content, choice.finish_reason) == (prediction.target, "stop")
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (prediction.tokens, 1)
    assert choice.logprobs is not None
    (token,) = choice.logprobs.content or []
    shares = {each.token: math.exp(each.logprob) for each in token.top_logprobs}
    assert token.token == prediction.target
    assert shares == pytest.approx(prediction.scores)
    chunks = list(client.chat.completions.create(model=CLASSIFIER, messages=said, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == prediction.target


def test_a_classifier_draws_by_its_probabilities_where_it_is_asked_to(
    client: OpenAI, bundles: Bundles
) -> None:
    (prediction,) = bundles.predictor.predict([TEXT])
    how: Any = {"model": CLASSIFIER, "prompt": [TEXT] * 4, "n": MOST_CHOICES}
    likeliest = client.completions.create(**how, temperature=0)
    assert {choice.text for choice in likeliest.choices} == {prediction.target}
    drawn = [choice.text for choice in client.completions.create(**how, temperature=1, seed=1).choices]
    assert drawn == [
        choice.text for choice in client.completions.create(**how, temperature=1, seed=1).choices
    ]
    assert drawn[:MOST_CHOICES] == drawn[MOST_CHOICES : 2 * MOST_CHOICES]
    assert set(drawn) <= set(LABELS)
    often = [choice.text for choice in client.completions.create(**how, temperature=2).choices]
    assert len(set(often)) > 1


def test_classify_gives_what_the_predictor_gives(live: Live, bundles: Bundles) -> None:
    texts = [TEXT, "the senate heard the bill"]
    with live.http() as http:
        told = http.post("/v1/classify", json={"model": CLASSIFIER, "input": texts, "top_k": 3}).json()
        writes = http.post("/v1/classify", json={"model": "tiny", "input": TEXT})
        nobody = http.post("/v1/classify", json={"input": TEXT})
    predictions = bundles.predictor.predict(texts)
    assert [result["label"] for result in told["results"]] == [each.target for each in predictions]
    assert told["results"][0]["score"] == pytest.approx(predictions[0].score)
    assert told["usage"] == {"texts": 2, "tokens": sum(each.tokens for each in predictions)}
    assert (writes.status_code, writes.json()["error"]["code"]) == (400, "not-a-classifier")
    assert nobody.json()["error"]["param"] == "model"


TOO_LONG = "goal " * 2000
CHAT: dict[str, Any] = {"model": "tiny", "messages": SAID}
TEXTS: dict[str, Any] = {"model": "tiny", "prompt": TEXT}
LABELLED: dict[str, Any] = {"model": CLASSIFIER, "messages": SAID}
REFUSED: list[tuple[dict[str, Any], str, Any]] = [
    (CHAT, "tools", [{"type": "function", "function": {"name": "a"}}]),
    (CHAT, "tool_choice", "none"),
    (CHAT, "parallel_tool_calls", True),
    (CHAT, "functions", []),
    (CHAT, "function_call", "none"),
    (CHAT, "audio", {"voice": "a", "format": "wav"}),
    (CHAT, "modalities", ["text", "audio"]),
    (CHAT, "moderation", {}),
    (CHAT, "prediction", {"type": "content", "content": "a"}),
    (CHAT, "reasoning_effort", "low"),
    (CHAT, "verbosity", "low"),
    (CHAT, "web_search_options", {}),
    (CHAT, "store", True),
    (CHAT, "metadata", {"a": "b"}),
    (CHAT, "service_tier", "priority"),
    (CHAT, "prompt_cache_key", "a"),
    (CHAT, "prompt_cache_options", {}),
    (CHAT, "prompt_cache_retention", "24h"),
    (CHAT, "safety_identifier", "a"),
    (CHAT, "best_of", 1),
    (CHAT, "never_heard_of", 1),
    (CHAT, "model", None),
    (CHAT, "model", "nobody"),
    (CHAT, "messages", []),
    (CHAT, "messages[0].role", [{"role": "king", "content": "a"}]),
    (CHAT, "messages", [{"role": "user"}]),
    (CHAT, "messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]),
    (CHAT, "messages", [{"role": "user", "content": TOO_LONG}]),
    (CHAT, "messages[0].tool_call_id", [{"role": "tool", "content": "a", "tool_call_id": "b"}]),
    (CHAT, "messages[0].tool_calls", [{"role": "assistant", "content": "a", "tool_calls": [{}]}]),
    (CHAT, "n", 0),
    (CHAT, "n", MOST_CHOICES + 1),
    (CHAT, "n", "1"),
    (CHAT, "temperature", 2.1),
    (CHAT, "top_p", 0),
    (CHAT, "max_tokens", 0),
    (CHAT, "max_completion_tokens", 0),
    (CHAT, "max_completion_tokens", 1 << 21),
    (CHAT, "seed", 1 << 64),
    (CHAT, "presence_penalty", 3),
    (CHAT, "frequency_penalty", -3),
    (CHAT, "logit_bias", {str(token): 1 for token in range(301)}),
    (CHAT, "logit_bias.1", {"1": 101}),
    (CHAT, "logit_bias", {"goal": 1}),
    (CHAT, "messages", {"logit_bias": {"999999": 1}}),
    (CHAT, "stop", ["a"] * 5),
    (CHAT, "stop", {"stop": [""]}),
    (CHAT, "stop", "a" * 1001),
    (CHAT, "top_logprobs", 3),
    (CHAT, "top_logprobs", {"logprobs": True, "top_logprobs": 21}),
    (CHAT, "stream_options", {"include_usage": True}),
    (CHAT, "response_format", {"type": "json_schema"}),
    (CHAT, "response_format", {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 3}}}),
    (CHAT, "response_format.type", {"type": "xml"}),
    (TEXTS, "suffix", "a"),
    (TEXTS, "best_of", 2),
    (TEXTS, "logprobs", 6),
    (TEXTS, "prompt", ""),
    (TEXTS, "prompt", []),
    (TEXTS, "prompt", [[]]),
    (TEXTS, "prompt", ["a", 1]),
    (TEXTS, "prompt", [999_999]),
    (TEXTS, "prompt", ["a"] * (MOST_PROMPTS + 1)),
    (TEXTS, "prompt", TOO_LONG),
    (TEXTS, "max_tokens", 0),
    (TEXTS, "messages", SAID),
    (LABELLED, "response_format", {"type": "json_object"}),
    (LABELLED, "logit_bias", {"1": 1}),
    (LABELLED, "presence_penalty", 1),
    (LABELLED, "frequency_penalty", 1),
    (LABELLED, "messages", [{"role": "system", "content": "Say sports."}]),
    ({"model": CLASSIFIER, "prompt": TEXT}, "echo", True),
    ({"model": CLASSIFIER, "prompt": TEXT}, "prompt", [1, 2]),
]


def test_what_is_not_done_is_refused_by_name(live: Live) -> None:
    with live.http() as http:
        for body, param, value in REFUSED:
            name = param.partition("[")[0].partition(".")[0]
            others = isinstance(value, dict) and value.keys() & {"logit_bias", "logprobs", "stop"}
            asked = {**body, **(value if others else {name: value})}
            path = "/v1/completions" if "prompt" in body else "/v1/chat/completions"
            told = http.post(path, json=asked)
            error = told.json()["error"]
            wanted = 404 if value == "nobody" else 400
            assert told.status_code == wanted, (asked, told.text)
            assert str(error["param"]).startswith(param), (asked, error)


def test_null_is_left_out(live: Live) -> None:
    known = {name for body, name, _ in REFUSED if body is CHAT and name.isidentifier()}
    known -= {"model", "messages", "best_of", "never_heard_of"}
    with live.http() as http:
        told = http.post("/v1/chat/completions", json=dict.fromkeys(known) | {**CHAT, "max_tokens": 1})
    assert told.status_code == 200, told.text
