from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models import ARCHITECTURES, save_tiny_base
from tunesmith.errors import ConfigError
from tunesmith.model.base import quiet_transformers
from tunesmith.model.generator import Generator, answer_ids, load_generator
from tunesmith.model.reading import can_batch
from tunesmith.writer import Writer

PROMPTS = ["goal", "the striker scored a late goal", "the minister", "a", "parliament passed the budget " * 2]
LABELS = ["sport", "sports", "politics", "the senate", "the senate heard the bill", "a"]
OTHERS: dict[str, dict[str, Any]] = {"gptj": {}, "mistral": {"sliding_window": 8}, "opt": {"ffn_dim": 32}}


def _generator(place: Path, architecture: str = "gpt2", **changes: Any) -> Generator:
    # sharper than weights as they are drawn: the likeliest token leads by far, and answers differ
    base = save_tiny_base(place / "base", architecture, initializer_range=0.4, **changes)
    return load_generator(str(base))


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "qwen3", *OTHERS])
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Writer:
    changes = OTHERS.get(request.param, {})
    return Writer(_generator(tmp_path_factory.mktemp("base"), request.param, **changes), 64, 128)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Writer:
    return Writer(_generator(tmp_path_factory.mktemp("base")), 64)


def _by_hand(writer: Writer, prompt: str, count: int) -> list[int]:
    """The likeliest tokens, by reading everything anew for each, by transformers' own forward."""
    ids = writer.encode([prompt], room=count)[0].tolist()
    written: list[int] = []
    while len(written) < count and not set(written) & set(writer.generator.end_ids):
        with torch.no_grad():
            logits = writer.generator.model(input_ids=torch.tensor([ids + written]), use_cache=False).logits
        written.append(int(logits[0, -1].argmax()))
    return written


def test_batched_equals_alone_equals_reading_all_anew(writer: Writer) -> None:
    together = writer.write(PROMPTS, max_new_tokens=12)
    assert len({answer.text for answer in together}) > 1
    for prompt, answer in zip(PROMPTS, together, strict=True):
        assert writer.write([prompt], max_new_tokens=12) == [answer]
        ids = _by_hand(writer, prompt, 12)
        assert answer.tokens == len(ids)
        ended = ids[-1] in writer.generator.end_ids
        assert answer.finish_reason == ("stop" if ended else "length")
        assert answer.text == writer.generator.tokenizer.decode(ids[:-1] if ended else ids)


def test_what_is_drawn_depends_on_seed_and_prompt_alone(writer: Writer) -> None:
    how: dict[str, Any] = {"max_new_tokens": 12, "temperature": 0.9, "top_p": 0.95, "seed": 4}
    together = writer.write(PROMPTS, **how)
    assert [writer.write([prompt], **how)[0] for prompt in PROMPTS] == together
    assert writer.write(PROMPTS[::-1], **how) == together[::-1]
    assert writer.write(PROMPTS, **how | {"seed": 5}) != together
    assert list(writer.stream(iter(PROMPTS), chunk_prompts=2, **how)) == together


def test_choosing_is_exact(writer: Writer) -> None:
    """Every name alone, token by token, by transformers' own forward."""
    model, tokenizer = writer.generator.model, writer.generator.tokenizer
    expected = np.zeros((len(PROMPTS), len(LABELS)))
    for row, prompt in enumerate(PROMPTS):
        start = writer.encode([prompt], room=20)[0].tolist()
        for column, label in enumerate(LABELS):
            name = answer_ids(tokenizer, label).tolist()
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([start + name]), use_cache=False).logits[0].double()
            shares = logits.log_softmax(-1)[len(start) - 1 : -1]
            expected[row, column] = shares.gather(1, torch.tensor(name)[:, None]).sum().item()
    expected = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    found = writer.choose(PROMPTS, LABELS)
    assert np.abs(found - expected).max() < 1e-4
    assert np.allclose(found.sum(1), 1)
    # batched or alone, in whatever order
    for row, prompt in enumerate(PROMPTS):
        alone = writer.choose([prompt], LABELS[::-1])[0, ::-1]
        assert np.abs(alone - found[row]).max() < 1e-4


def test_many_labels_are_chosen_among(gpt2: Writer) -> None:
    labels = [f"{kind} {number}" for kind in ("goal", "vote", "goal vote") for number in range(30)]
    probabilities = gpt2.choose(PROMPTS, labels)
    assert probabilities.shape == (5, 90)
    one_by_one = np.concatenate([gpt2.choose(PROMPTS, [label, labels[0]]) for label in labels[1:]], 1)
    ratios = one_by_one[:, ::2] / one_by_one[:, 1::2]
    assert np.allclose(probabilities[:, 1:] / probabilities[:, :1], ratios, rtol=1e-3)


def test_a_label_that_leaves_no_room_is_refused(gpt2: Writer) -> None:
    with pytest.raises(ConfigError, match="label-too-long"):
        gpt2.choose(["goal"], ["a", "the striker " * 64])


def test_choosing_cuts_the_beginning_of_a_long_prompt(gpt2: Writer) -> None:
    ending = " ".join(str(number) for number in range(60))
    first, second = (gpt2.choose([f"{start} {ending}"], LABELS) for start in ("goal", "the budget"))
    assert np.array_equal(first, second)


def test_stop_texts_end_an_answer(gpt2: Writer) -> None:
    (whole,) = gpt2.write(["goal"], max_new_tokens=20)
    middle = whole.text[len(whole.text) // 2 :][:3]
    (cut,) = gpt2.write(["goal"], max_new_tokens=20, stop=["no such text", middle])
    assert cut.text == whole.text[: whole.text.index(middle)]
    assert cut.finish_reason == "stop"
    assert cut.tokens < whole.tokens
    together = gpt2.write(PROMPTS, max_new_tokens=20, stop=[middle])
    assert [gpt2.write([prompt], max_new_tokens=20, stop=[middle])[0] for prompt in PROMPTS] == together


def test_long_prompts_leave_room_for_an_answer(gpt2: Writer) -> None:
    ending = " ".join(str(number) for number in range(60))
    long = [f"{start} {ending}" for start in ("goal", "the budget " * 9)]
    first, second = gpt2.write(long, max_new_tokens=10)
    assert first.truncated
    assert first == second, "what is left of them is the same"
    assert first.prompt_tokens == 54
    assert first.tokens <= 10


def test_more_new_tokens_than_there_is_room_for(gpt2: Writer) -> None:
    answers = gpt2.write([*PROMPTS, "goal " * 99], max_new_tokens=10_000)
    for answer in answers:
        assert answer.finish_reason == "stop" or answer.prompt_tokens + answer.tokens == 64
    assert answers[-1].prompt_tokens == 32
    assert [gpt2.write([prompt], max_new_tokens=10_000)[0] for prompt in PROMPTS] == answers[:-1]
    smallest = Writer(gpt2.generator, 1)
    assert smallest.write(["goal"])[0].tokens == 1


def test_what_cannot_be_asked_is_told_all_at_once(gpt2: Writer) -> None:
    with pytest.raises(ConfigError) as caught:
        gpt2.write([], max_new_tokens=0, temperature=-1.0, top_p=0.0, seed=-1, stop=["", "fine"])
    assert [problem.code for problem in caught.value.problems] == ["bad-decoding"] * 5
    with pytest.raises(ConfigError, match="temperature"):
        gpt2.write(["a"], temperature=float("nan"))
    assert gpt2.write([]) == []
    assert gpt2.choose([], ["a", "b"]).shape == (0, 2)


def test_messages_and_a_users_text_are_the_same(gpt2: Writer) -> None:
    message = [{"role": "user", "content": "goal"}]
    assert gpt2.write([message, "goal"])[0] == gpt2.write(["goal"])[0]
    assert gpt2.write([[{"role": "system", "content": "vote"}, *message]])[0] != gpt2.write(["goal"])[0]


def test_low_temperature_and_small_top_p_are_greedy(gpt2: Writer) -> None:
    greedy = gpt2.write(PROMPTS, max_new_tokens=8)
    assert gpt2.write(PROMPTS, max_new_tokens=8, temperature=1e-9) == greedy
    assert gpt2.write(PROMPTS, max_new_tokens=8, temperature=2.0, top_p=1e-9) == greedy


def test_an_answer_ends_with_the_end_of_turn_of_the_template(tmp_path: Path) -> None:
    base = save_tiny_base(tmp_path / "base")
    settings = json.loads((base / "tokenizer_config.json").read_text())
    settings["chat_template"] = (
        "{% for m in messages %}<|user|>{{ m.content }}<|turn|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|user|>{% endif %}"
    )
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    plain = load_generator(str(base))
    assert plain.end_ids == (0,), "a turn that ends with ordinary text has no token for it"
    plain.tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    plain.model.resize_token_embeddings(len(plain.tokenizer), mean_resizing=False)
    _save(plain, tmp_path / "special")
    generator = load_generator(str(tmp_path / "special"))
    turn = generator.tokenizer.convert_tokens_to_ids("<|turn|>")
    assert generator.end_ids == (0, turn)
    with torch.no_grad():
        # tied to the head: it is now the likeliest token everywhere
        generator.model.get_output_embeddings().weight.mul_(0).select(0, turn).fill_(1.0)
        generator.model.transformer.ln_f.bias.fill_(1.0)
    (answer,) = Writer(generator, 64).write(["goal"])
    assert (answer.text, answer.tokens, answer.finish_reason) == ("", 1, "stop")


def _save(generator: Generator, place: Path) -> None:
    with quiet_transformers():
        generator.model.save_pretrained(place)
        generator.tokenizer.save_pretrained(place)


def test_transformers_own_pipeline_answers_alike(gpt2: Writer, tmp_path: Path) -> None:
    from transformers import pipeline

    _save(gpt2.generator, tmp_path / "saved")
    messages = [[{"role": "user", "content": prompt}] for prompt in PROMPTS[:3]]
    written: Any = pipeline("text-generation", model=str(tmp_path / "saved"))(messages, max_new_tokens=12)
    found = [answer[0]["generated_text"][-1]["content"] for answer in written]
    assert found == [answer.text for answer in gpt2.write(messages, max_new_tokens=12)]


def test_architectures_whose_positions_cannot_be_told_are_read_alone(tmp_path: Path) -> None:
    generator = _generator(tmp_path, "bloom", hidden_size=16, n_layer=2, n_head=2)
    assert not can_batch(generator.model)
    writer = Writer(generator, 64)
    assert writer.write(PROMPTS, max_new_tokens=5) == [
        writer.write([prompt], max_new_tokens=5)[0] for prompt in PROMPTS
    ]
