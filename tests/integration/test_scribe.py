from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from tests.conftest import SHARED
from tests.models import save_tiny_base
from tunesmith.errors import ConfigError
from tunesmith.model.generator import load_generator
from tunesmith.model.reading import can_join
from tunesmith.scribe.piece import Piece, Token
from tunesmith.scribe.request import AnyJson, JsonSchema, OneOf, Request
from tunesmith.scribe.scribe import Busy, Closed, Scribe
from tunesmith.scribe.stream import Stream
from tunesmith.writer import Writer

PROMPTS = ["goal", "the striker scored a late goal", "the minister", "a", "parliament passed the budget " * 2]
DRAWN: dict[str, Any] = {"max_new_tokens": 12, "temperature": 0.9, "top_p": 0.95, "seed": 4}
CHANGES: dict[str, dict[str, Any]] = {"mistral": {"sliding_window": 8}, "opt": {"ffn_dim": 32}}


def _writer(place: Path, architecture: str, **changes: Any) -> Writer:
    # sharper than weights as they are drawn: answers differ
    base = save_tiny_base(place, architecture, initializer_range=0.4, **changes)
    return Writer(load_generator(str(base)), 64, 256)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return _writer(tmp_path_factory.mktemp("base"), "gpt2")


@pytest.fixture(scope="module")
def scribe(gpt2: Writer) -> Iterator[Scribe]:
    with Scribe(gpt2) as scribe:
        yield scribe


def _asked(text: str, **how: Any) -> Request:
    return Request(messages=[{"role": "user", "content": text}], **how)


def _pieces(stream: Stream) -> dict[int, list[Piece]]:
    found: dict[int, list[Piece]] = {}
    for piece in stream:
        found.setdefault(piece.index, []).append(piece)
    return found


def _texts(stream: Stream) -> list[str]:
    return ["".join(piece.text for piece in pieces) for _, pieces in sorted(_pieces(stream).items())]


def _tokens(pieces: list[Piece]) -> list[Token]:
    return [token for piece in pieces for token in piece.tokens]


def _answer(scribe: Scribe, request: Request) -> tuple[str, list[Token], str | None]:
    """The whole text, tokens and end of a request's first choice."""
    pieces = _pieces(scribe.submit(request))[0]
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    return "".join(piece.text for piece in pieces), _tokens(pieces), pieces[-1].finish_reason


@contextmanager
def _watched(writer: Writer, look: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """While the block runs, `look` sees the ids of every pass, (rows, tokens)."""
    hook = writer.generator.model.register_forward_pre_hook(
        lambda _model, _args, kwargs: look(kwargs["input_ids"]), with_kwargs=True
    )
    try:
        yield
    finally:
        hook.remove()


def _shares(writer: Writer, ids: list[int]) -> torch.Tensor:
    """(tokens, vocabulary) log-probabilities of what follows each token, by transformers' own forward."""
    with torch.no_grad():
        logits = writer.generator.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    found: torch.Tensor = logits.double().log_softmax(-1)
    return found


@pytest.mark.parametrize(
    ("architecture", "batch_tokens"),
    [("gpt2", 2000), *((each, 140) for each in ("gpt2", "gpt_neo", *CHANGES))],
)
def test_alone_is_among_others_is_the_writer(
    architecture: str, batch_tokens: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With little room, rows wait, join those that are half written, and leave to be read again."""
    place = tmp_path_factory.getbasetemp() / architecture
    writer = _writer(place, architecture, **CHANGES.get(architecture, {}))
    assert can_join(writer.generator.model)
    shapes, all_there = list[tuple[int, ...]](), Event()

    def look(ids: torch.Tensor) -> None:
        assert all_there.wait(60)
        shapes.append(tuple(ids.shape))

    hows = [{"temperature": 0, "max_new_tokens": 40, "logit_bias": {0: -100}}, DRAWN | {"logprobs": 3}]
    requests = [_asked(prompt, **how) for how in hows for prompt in PROMPTS]
    with Scribe(writer, batch_tokens=batch_tokens) as scribe:
        alone = [_answer(scribe, request) for request in requests]
        with _watched(writer, look):
            streams = [scribe.submit(request) for request in requests]
            all_there.set()
            together = [_pieces(stream)[0] for stream in streams]
    assert max(rows for rows, _ in shapes) > 1
    longest = max(stream.prompt_tokens for stream in streams)
    read_again = any(tokens > longest for _, tokens in shapes)
    assert read_again == (batch_tokens == 140)
    for (text, tokens, reason), pieces in zip(alone, together, strict=True):
        assert "".join(piece.text for piece in pieces) == text
        assert pieces[-1].finish_reason == reason
        among = _tokens(pieces)
        assert [token.id for token in among] == [token.id for token in tokens]
        told = [(token.logprob or 0, *(each.logprob for each in token.likeliest)) for token in tokens]
        told_among = [(token.logprob or 0, *(each.logprob for each in token.likeliest)) for token in among]
        for one, other in zip(told, told_among, strict=True):
            assert np.allclose(one, other, atol=1e-4)
    for prompt, stream, (text, _, reason) in zip(PROMPTS, streams[5:], alone[5:], strict=True):
        (written,) = writer.write([prompt], **DRAWN)
        assert (text, reason) == (written.text, written.finish_reason)
        assert (stream.tokens, stream.prompt_tokens) == (written.tokens, written.prompt_tokens)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("bloom", {"hidden_size": 16, "n_layer": 2, "n_head": 2}),
        ("lfm2", {"layer_types": ["conv", "full_attention"], "block_ff_dim": 32}),
    ],
)
def test_models_that_keep_more_than_keys_and_values_answer_one_after_the_other(
    architecture: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    writer = _writer(tmp_path, architecture, **changes)
    assert not can_join(writer.generator.model)
    requests = [_asked(prompt, choices=2, **DRAWN) for prompt in PROMPTS[:3]]
    rows = list[int]()
    with Scribe(writer) as scribe, _watched(writer, lambda ids: rows.append(len(ids))):
        texts = [_texts(stream) for stream in [scribe.submit(request) for request in requests]]
    assert set(rows) == {1}
    assert [text for text, _ in texts] == [answer.text for answer in writer.write(PROMPTS[:3], **DRAWN)]


def test_log_probabilities_are_those_of_a_plain_forward(gpt2: Writer, scribe: Scribe) -> None:
    how: dict[str, Any] = {"temperature": 1.7, "top_p": 0.9, "presence_penalty": 1, "logit_bias": {5: 3}}
    request = Request(prompt="the goal", logprobs=4, echo=True, max_new_tokens=20, seed=3, **how)
    text, tokens, _ = _answer(scribe, request)
    ids = [token.id for token in tokens]
    assert text.startswith("the goal")
    assert len(ids) > 10
    shares = _shares(gpt2, ids)
    assert tokens[0].logprob is None
    for place, token in enumerate(tokens[1:]):
        assert token.logprob == pytest.approx(float(shares[place, token.id]), abs=1e-4)
        values, likeliest = shares[place].topk(4)
        assert [each.id for each in token.likeliest] == likeliest.tolist()
        assert np.allclose([each.logprob for each in token.likeliest], values, atol=1e-4)
        assert all(each.data.decode(errors="replace") == each.text for each in token.likeliest if each.id)
    assert b"".join(token.data for token in tokens).decode(errors="replace") == text
    assert [text[token.offset :].startswith(token.text) for token in tokens if token.text.isascii()]


def test_a_prompt_is_scored_without_writing(gpt2: Writer, scribe: Scribe) -> None:
    ids = gpt2.generator.tokenizer("the senate heard the bill")["input_ids"]
    for prompt in ("the senate heard the bill", ids):
        request = Request(prompt=prompt, echo=True, max_new_tokens=0, logprobs=1, choices=2)
        stream = scribe.submit(request)
        first, second = stream
        assert (first.text, first.finish_reason) == ("the senate heard the bill", "length")
        assert second.tokens == first.tokens
        assert (stream.prompt_tokens, stream.tokens) == (len(ids), 0)
        shares = _shares(gpt2, ids)
        expected = [float(shares[place, token]) for place, token in enumerate(ids[1:])]
        assert np.allclose([token.logprob or 0 for token in first.tokens[1:]], expected, atol=1e-4)


def test_long_prompts_are_scored_part_by_part(gpt2: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.scribe import logprobs

    ids = np.asarray(gpt2.generator.tokenizer("the senate heard the bill " * 4)["input_ids"], np.int32)
    whole = [each.logprob or 0 for each in logprobs.prompt_told(gpt2.generator.model, ids, 0)]
    for step in (1, 5):
        monkeypatch.setattr(logprobs, "_READ_TOKENS", step)
        parts = [each.logprob or 0 for each in logprobs.prompt_told(gpt2.generator.model, ids, 0)]
        assert np.allclose(parts, whole, atol=1e-4)


def test_penalties_and_bias_are_openais(gpt2: Writer, scribe: Scribe) -> None:
    bias = {17: 2.5, 0: -100.0}
    request = Request(
        prompt="the", temperature=0, presence_penalty=1.5, frequency_penalty=0.8, logit_bias=bias
    )
    _, tokens, _ = _answer(scribe, request)
    start = gpt2.generator.tokenizer("the")["input_ids"]
    written: list[int] = []
    while len(start + written) < 64 and not set(written) & set(gpt2.generator.end_ids):
        logits = _shares(gpt2, start + written)[-1]
        for token, count in Counter(written).items():
            logits[token] -= 1.5 + 0.8 * count
        for token, value in bias.items():
            logits[token] += value
        written.append(int(logits.argmax()))
    assert [token.id for token in tokens] == [token for token in written if token]
    assert len(tokens) > 5
    forced = Request(prompt="the", logit_bias={40: 100}, max_new_tokens=4)
    assert [token.id for token in _answer(scribe, forced)[1]] == [40] * 4


def test_a_prompt_of_many_choices_is_read_once(gpt2: Writer, scribe: Scribe) -> None:
    shapes = list[tuple[int, ...]]()
    with _watched(gpt2, lambda ids: shapes.append(tuple(ids.shape))):
        three = _texts(scribe.submit(_asked("goal", choices=3, **DRAWN)))
    assert shapes[0][0] == 1
    assert shapes[1] == (3, 1)
    assert all(length == 1 for _, length in shapes[1:])
    assert len(set(three)) == 3
    assert _texts(scribe.submit(_asked("goal", choices=2, **DRAWN))) == three[:2]


def test_stop_texts_end_an_answer(gpt2: Writer, scribe: Scribe) -> None:
    whole, _, _ = _answer(scribe, _asked("goal", temperature=0, max_new_tokens=20))
    middle = whole[len(whole) // 2 :][:3]
    text, tokens, reason = _answer(
        scribe, _asked("goal", temperature=0, max_new_tokens=20, stop=("no such text", middle))
    )
    assert (text, reason) == (whole[: whole.index(middle)], "stop")
    assert all(token.offset < len(text) for token in tokens)
    (written,) = gpt2.write(["goal"], max_new_tokens=20, stop=[middle])
    assert text == written.text


def test_who_cancels_leaves_at_the_next_step(gpt2: Writer, scribe: Scribe) -> None:
    endless = {"temperature": 0, "logit_bias": {40: 100}}
    rows, all_there, gone = list[int](), Event(), Event()

    def look(ids: torch.Tensor) -> None:
        assert all_there.wait(60)
        rows.append(len(ids))
        # when both have their first token
        assert len(rows) < 4 or gone.wait(60)

    with _watched(gpt2, look):
        going, staying = scribe.submit(_asked("goal", **endless)), scribe.submit(_asked("a", **endless))
        all_there.set()
        next(iter(going))
        next(iter(staying))
        going.cancel()
        gone.set()
        assert len(list(staying)) > 1
    assert set(rows[4:]) == {1}
    assert list(going) == []
    assert going.tokens < staying.tokens


def _wait_for(event: Event) -> None:
    assert event.wait(60)


def _poisoned(ids: torch.Tensor) -> None:
    if 77 in ids:
        raise RuntimeError("no good")


@pytest.mark.parametrize("poison", [{"prompt": [20, 77]}, {"prompt": [20], "logit_bias": {77: 100}}])
def test_the_error_of_one_is_not_that_of_others(gpt2: Writer, scribe: Scribe, poison: dict[str, Any]) -> None:
    """Whether its prompt cannot be read, or what it wrote."""
    # seeds and prompts that never write it themselves
    others = [_asked(prompt, **DRAWN, logit_bias={77: -100}) for prompt in PROMPTS]
    expected = [_texts(scribe.submit(request)) for request in others]
    with _watched(gpt2, _poisoned):
        streams = [scribe.submit(request) for request in [*others, Request(**poison), *others]]
        bad = streams.pop(len(others))
        with pytest.raises(RuntimeError, match="no good"):
            list(bad)
        assert [_texts(stream) for stream in streams] == expected * 2
    assert [_texts(scribe.submit(request)) for request in others] == expected


def test_memory_that_runs_out_halves_what_runs_at_once(gpt2: Writer, scribe: Scribe) -> None:
    requests = [_asked(prompt, choices=2, **DRAWN) for prompt in PROMPTS]
    expected = [_texts(scribe.submit(request)) for request in requests]
    rows, all_there = list[int](), Event()

    def look(ids: torch.Tensor) -> None:
        assert all_there.wait(60)
        rows.append(len(ids))
        if len(ids) > 3:
            raise torch.OutOfMemoryError("too much")

    with _watched(gpt2, look):
        streams = [scribe.submit(request) for request in requests]
        all_there.set()
        assert [_texts(stream) for stream in streams] == expected
    assert max(rows) > 3, "there was more at once than fits"


_TOPK, _AMAX = torch.Tensor.topk, torch.Tensor.amax


class _Failing(TorchFunctionMode):
    """One of torch's functions fails where `is_bad` says so, of its arguments and its calls in a step."""

    def __init__(self, function: Any, is_bad: Callable[[Any, int], bool], error: Exception) -> None:
        super().__init__()
        self.function, self.is_bad, self.error = function, is_bad, error
        self.calls_in_step, self.failures = 0, 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is self.function:
            self.calls_in_step += 1
            if self.is_bad(args, self.calls_in_step):
                self.failures += 1
                raise self.error
        return func(*args, **(kwargs or {}))

    def around(self, work: Callable[[], None]) -> None:
        self.calls_in_step = 0
        with self:
            work()


@pytest.mark.parametrize("drawn", [DRAWN, {"max_new_tokens": 12, "temperature": 0}])
def test_a_fault_after_tokens_were_drawn_is_that_of_one_and_changes_no_other(
    gpt2: Writer, scribe: Scribe, drawn: dict[str, Any]
) -> None:
    others = [_asked(prompt, **drawn, logprobs=3) for prompt in PROMPTS]
    expected = [_texts(scribe.submit(request)) for request in others]
    failing = _Failing(_TOPK, lambda args, _: args[1] == 7, RuntimeError("no good"))
    all_there = Event()
    with _watched(gpt2, lambda _: _wait_for(all_there)), Scribe(gpt2, in_turn=failing.around) as failing_one:
        streams = [
            failing_one.submit(request)
            for request in [*others, _asked("a", **drawn, logprobs=7), _asked("a", **drawn), *others]
        ]
        all_there.set()
        bad, plain = streams.pop(len(others)), streams.pop(len(others))
        with pytest.raises(RuntimeError, match="no good"):
            list(bad)
        assert [_texts(stream) for stream in streams] == expected * 2
        assert _texts(plain) == _texts(scribe.submit(_asked("a", **drawn)))
    assert failing.failures > 1, "it failed among others first"


@pytest.mark.parametrize(
    ("function", "is_bad"),
    [
        # what is told of all rows
        (_TOPK, lambda args, _: len(args[0]) > 3),
        # what each row's token is drawn from
        (_AMAX, lambda args, number: args[0].dim() == 1 and number > 3),
    ],
)
def test_memory_that_runs_out_where_tokens_are_drawn_costs_no_answer(
    gpt2: Writer, scribe: Scribe, function: Any, is_bad: Callable[[Any, int], bool]
) -> None:
    requests = [_asked(prompt, choices=2, **DRAWN, logprobs=3) for prompt in PROMPTS]
    expected = [_texts(scribe.submit(request)) for request in requests]
    failing, all_there = _Failing(function, is_bad, torch.OutOfMemoryError("too much")), Event()
    with _watched(gpt2, lambda _: _wait_for(all_there)), Scribe(gpt2, in_turn=failing.around) as failing_one:
        streams = [failing_one.submit(request) for request in requests]
        all_there.set()
        assert [_texts(stream) for stream in streams] == expected
    assert failing.failures


def test_a_request_that_fits_no_memory_fails_alone(gpt2: Writer, scribe: Scribe) -> None:
    def look(ids: torch.Tensor) -> None:
        if ids.shape[1] > 20:
            raise torch.OutOfMemoryError("too much")

    with _watched(gpt2, look):
        long, short = scribe.submit(Request(prompt=[20] * 30)), scribe.submit(_asked("a", **DRAWN))
        with pytest.raises(torch.OutOfMemoryError):
            list(long)
        assert len(_texts(short)) == 1


def test_where_too_many_wait_another_is_refused(gpt2: Writer) -> None:
    reading, go_on = Event(), Event()

    def wait(ids: torch.Tensor) -> None:
        reading.set()
        assert go_on.wait(60)

    with _watched(gpt2, wait), Scribe(gpt2, max_waiting=1) as scribe:
        first = scribe.submit(_asked("goal", **DRAWN))
        assert reading.wait(60)
        second = scribe.submit(_asked("a", **DRAWN))
        assert scribe.waiting == 1
        with pytest.raises(Busy):
            scribe.submit(_asked("the", **DRAWN))
        second.cancel()
        third = scribe.submit(_asked("the", **DRAWN))
        go_on.set()
        assert len(_texts(first)) == len(_texts(third)) == 1
        assert _texts(second) == []
    assert (scribe.waiting, scribe.writing) == (0, 0)


def test_who_waits_when_it_ends_hears_so(gpt2: Writer) -> None:
    reading, go_on = Event(), Event()

    def wait(ids: torch.Tensor) -> None:
        reading.set()
        assert go_on.wait(60)

    with _watched(gpt2, wait), Scribe(gpt2, batch_tokens=1, max_waiting=1_000_000) as scribe:
        streams = [scribe.submit(_asked(prompt, **DRAWN)) for prompt in PROMPTS]
        assert reading.wait(60)
        closing = Thread(target=scribe.close)
        closing.start()
        with pytest.raises(Closed):
            while True:
                streams.append(scribe.submit(_asked("goal", **DRAWN)))
        go_on.set()
        closing.join()
    for stream in streams:
        with pytest.raises(Closed):
            list(stream)


def test_coroutines_are_answered(scribe: Scribe) -> None:
    async def answer(prompt: str) -> str:
        return "".join([piece.text async for piece in scribe.submit(_asked(prompt, **DRAWN))])

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*map(answer, PROMPTS))

    assert [[text] for text in asyncio.run(all_at_once())] == [
        _texts(scribe.submit(_asked(prompt, **DRAWN))) for prompt in PROMPTS
    ]


def test_what_cannot_be_asked_of_this_model_is_told_all_at_once(scribe: Scribe) -> None:
    with pytest.raises(ConfigError) as caught:
        scribe.submit(Request(prompt=[0, 384, -1], logit_bias={500: 1, 3: 1}, choices=17))
    assert len(caught.value.problems) == 4
    for prompt, most in (("goal " * 99, None), ([5] * 64, None), ([5] * 65, 0)):
        request = Request(prompt=prompt, max_new_tokens=most, echo=True)
        with pytest.raises(ConfigError, match="prompt-too-long"):
            scribe.submit(request)
    with pytest.raises(ConfigError, match="prompt-too-long"):
        scribe.submit(_asked("goal " * 99))
    assert len(_answer(scribe, Request(prompt=[5] * 63, logit_bias={40: 100}))[1]) == 1


SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["sport", "politics", "é"]},
        "sure": {"type": "boolean"},
        "of": {"type": "array", "items": {"type": "integer"}, "maxItems": 2},
    },
    "required": ["label", "sure"],
    "additionalProperties": False,
}


def test_json_is_held_to_its_schema(scribe: Scribe) -> None:
    from jsonschema import validate

    streams = [
        scribe.submit(_asked("goal", constraint=JsonSchema(SCHEMA), choices=8, seed=seed)) for seed in (1, 2)
    ]
    ends = Counter[str]()
    for stream in streams:
        for pieces in _pieces(stream).values():
            text, reason = "".join(piece.text for piece in pieces), pieces[-1].finish_reason
            if reason == "stop":
                validate(json.loads(text), SCHEMA)
            else:
                with pytest.raises(ValueError):  # noqa: PT011 (any of JSON's)
                    json.loads(text)
            ends[str(reason)] += 1
    assert ends["stop"] > 8


def test_json_may_be_any_object_and_may_be_cut(scribe: Scribe) -> None:
    for seed in range(3):
        text, _, reason = _answer(scribe, _asked("goal", constraint=AnyJson(), seed=seed))
        assert text.startswith("{")
        if reason == "stop":
            assert isinstance(json.loads(text), dict)
    request = _asked("goal", constraint=JsonSchema(SCHEMA), max_new_tokens=5)
    assert _answer(scribe, request)[2] == "length"


def test_an_answer_ends_when_and_only_when_its_json_is_whole(scribe: Scribe) -> None:
    # its likeliest token by far, wherever it is allowed
    ends = {0: 100}
    request = _asked("goal", constraint=JsonSchema({"type": "integer"}), logit_bias=ends, temperature=0)
    text, tokens, reason = _answer(scribe, request)
    assert reason == "stop"
    assert json.loads(text) == int(text)
    assert len(tokens) == len(text.removeprefix("-")) + text.startswith("-") == len(text) <= 2


def test_an_answer_is_one_of_some_texts(gpt2: Writer, scribe: Scribe) -> None:
    labels = ("sport", "sports", "politics", "é")
    likeliest = labels[int(gpt2.choose(["goal"], labels)[0].argmax())]
    asked = [_asked("goal", constraint=OneOf(labels), choices=16, seed=seed) for seed in (1, 2)]
    found = {text for stream in map(scribe.submit, asked) for text in _texts(stream)}
    assert {likeliest} < found <= set(labels)
    ended = scribe.submit(
        _asked("goal", constraint=OneOf(("sport", "sports")), temperature=0, logit_bias={0: 100})
    )
    assert _texts(ended) == ["sport"]


@pytest.mark.skipif(not (SHARED / "models/stories260K").is_dir(), reason="the model is not distributed")
def test_a_real_model_with_a_tokenizer_like_sentencepiece_goes_on_with_a_story() -> None:
    generator = load_generator(str(SHARED / "models/stories260K"))
    with Scribe(Writer(generator, 256)) as scribe:
        request = Request(prompt="Once upon a time", temperature=0, max_new_tokens=40, logprobs=0, echo=True)
        text, tokens, _ = _answer(scribe, request)
        assert text.startswith("Once upon a time, there was a little girl named Lily.")
        assert text == generator.tokenizer.decode([token.id for token in tokens], skip_special_tokens=True)
        assert b"".join(token.data for token in tokens).decode() == text
        assert all(text[token.offset :].startswith(token.text) for token in tokens if token.data)
        answer, _, _ = _answer(scribe, Request(prompt="Once upon a time", temperature=0, max_new_tokens=40))
        assert "Once upon a time" + answer == text
        said, _, reason = _answer(scribe, _asked("x", constraint=JsonSchema(SCHEMA), seed=1))
        assert reason == "stop"
        assert set(json.loads(said)) >= {"label", "sure"}
        # the text of an answer of its own does not begin with the space of its first token
        assert _answer(scribe, _asked("x", constraint=OneOf(("the end", "a")), seed=1))[0] in ("the end", "a")
