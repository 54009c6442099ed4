"""A tokenizer made in-process that is not like GPT-2's."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.models import POLITICS, SPORTS


@cache
def _vocabulary() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    bytes_ = [f"<0x{code:02X}>" for code in range(256)]
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    trained.train_from_iterator([f" {text}" for text in SPORTS + POLITICS], trainer)
    model = _trained(trained)
    model["vocab"] |= {name: len(model["vocab"]) + at for at, name in enumerate(bytes_)}
    merges = [tuple(pair) for pair in model["merges"]]
    made = Tokenizer(models.BPE(model["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return made


def _trained(tokenizer: Any) -> dict[str, Any]:
    """The vocabulary and merges of a trained tokenizer."""
    import json

    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def like_llama_tokenizer() -> Any:
    """A BPE like SentencePiece's: texts begin with a space, and what it does not know it spells in bytes."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_vocabulary(), unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
