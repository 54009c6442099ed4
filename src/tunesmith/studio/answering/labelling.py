"""A model that gives labels, as something that answers: with the name of a label, which is one token."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tunesmith.api.refusal import Refusal
from tunesmith.api.served import Served
from tunesmith.data.formats.openai import text_before_answer
from tunesmith.model.decoding import randomness
from tunesmith.predict import Prediction
from tunesmith.scribe.piece import Likely, Piece, Token
from tunesmith.scribe.request import Request
from tunesmith.scribe.stream import Stream
from tunesmith.studio.answering.question import Question

__all__ = ["ClassifierAnswers"]

_USUAL_TEMPERATURE = 0.0
# a probability of 0 has no logarithm; this is that of the least number that is none
_LEAST = 5e-324
_UNFIT = ("presence_penalty", "frequency_penalty", "logit_bias", "echo")


class ClassifierAnswers:
    """A classifier behind its queue."""

    def __init__(self, served: Served, fingerprint: str) -> None:
        self.served, self.fingerprint = served, fingerprint

    async def start(self) -> None:
        """See Answerer."""
        self.served.start()

    async def begin(self, question: Question) -> list[Stream]:
        """See Answerer; all is said when it begins."""
        requests = [_fitting(request) for request in question.requests(_USUAL_TEMPERATURE)]
        texts = [_text(request) for request in requests]
        predictions = await self.served.batcher.predict(texts)
        return [
            _said(request, text, prediction)
            for request, text, prediction in zip(requests, texts, predictions, strict=True)
        ]

    async def close(self) -> None:
        """See Answerer."""
        await self.served.stop()


def _fitting(request: Request) -> Request:
    """The request; raise Refusal where it asks what labels cannot be asked."""
    asked = [name for name in _UNFIT if getattr(request, name)]
    asked += ["response_format"] if request.constraint else []
    if asked:
        message = f"`{asked[0]}` is not for this model: it gives labels, and writes nothing"
        raise Refusal("not-supported", message, param=asked[0])
    return request


def _text(request: Request) -> str:
    """What is read, as training has read it."""
    if request.messages is not None:
        text, param = text_before_answer([dict(message) for message in request.messages]), "messages"
    elif isinstance(request.prompt, str):
        text, param = request.prompt, "prompt"
    else:
        message = "`prompt` must be a text: the model gives labels to texts, and reads no tokens"
        raise Refusal("not-supported", message, param="prompt")
    if not text.strip():
        message = f"`{param}` has nothing to read but what says how to answer"
        raise Refusal("empty-input", message, param=param)
    return text


def _said(request: Request, text: str, prediction: Prediction) -> Stream:
    stream = Stream(prediction.tokens, request.choices)
    labels = tuple(prediction.scores)
    logarithms = [math.log(max(score, _LEAST)) for score in prediction.scores.values()]
    likeliest = _likeliest(request, labels, logarithms)
    for index, label_id in enumerate(_chosen(request, text, logarithms)):
        label = labels[label_id]
        told = None if request.logprobs is None else logarithms[label_id]
        token = Token(label_id, label, label.encode(), 0, told, likeliest)
        stops = [at for at in map(token.text.find, request.stop) if at >= 0]
        tokens = () if stops else (token,)
        stream.tokens += 1
        stream.put(Piece(index, token.text[: min(stops, default=None)], tokens, "stop"))
    return stream


def _chosen(request: Request, text: str, logarithms: Sequence[float]) -> Iterator[int]:
    """A label for each choice: the likeliest, or drawn by the probabilities."""
    import torch

    from tunesmith.model.sampling import draw

    logits = torch.tensor([logarithms], dtype=torch.float64)
    read = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    for choice in range(request.choices):
        random = randomness(request.seed, read, choice)
        yield draw(logits, [request.temperature], [request.top_p], [random])[0]


def _likeliest(request: Request, labels: Sequence[str], logarithms: Sequence[float]) -> tuple[Likely, ...]:
    """As many labels as are asked for."""
    order = sorted(range(len(labels)), key=lambda each: -logarithms[each])[: request.logprobs or 0]
    return tuple(Likely(each, labels[each], labels[each].encode(), logarithms[each]) for each in order)
