"""One answer as it is written: what may come next, what came, and what of it can be given out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from tunesmith.model.decoding import randomness
from tunesmith.model.encode import Ids
from tunesmith.scribe.logprobs import Told
from tunesmith.scribe.piece import Finish, Likely, Piece, Token
from tunesmith.scribe.request import Request
from tunesmith.scribe.spelling import Spelling
from tunesmith.scribe.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

__all__ = ["Choice", "Matcher", "echoed"]


class Matcher(Protocol):
    """Follows an answer and says which tokens it may go on with."""

    @property
    def ended(self) -> bool:
        """Whether nothing may follow."""
        ...

    def allowed(self) -> npt.NDArray[np.bool_]:
        """(vocabulary,) which tokens may come next; those that end an answer where it is whole."""
        ...

    def take(self, token: int) -> None:
        """Go on with a token that is allowed."""
        ...


class Choice:
    """One of a request's answers, as far as it is written."""

    def __init__(
        self,
        request: Request,
        index: int,
        prompt: Ids,
        limit: int,
        vocabulary: Vocabulary,
        matcher: Matcher | None = None,
    ) -> None:
        self.request, self.index = request, index
        self.prompt, self.limit = prompt, limit
        self.written: list[int] = []
        self.rewind()
        self.finish_reason: Finish | None = None
        self._vocabulary, self._matcher = vocabulary, matcher
        # an answer to messages is a text of its own; else it goes on with that of the prompt
        said = [] if request.prompt is None else prompt.tolist()
        self._has_begun = any(vocabulary.said(token)[1] for token in said)
        self._spelling = Spelling(request.stop, len(_spelled(vocabulary, said)) if request.echo else 0)

    @property
    def ids(self) -> Ids:
        """All that is to be read before the next token."""
        return np.concatenate([self.prompt, np.asarray(self.written, np.int32)])

    @property
    def length(self) -> int:
        """How many tokens that are."""
        return len(self.prompt) + len(self.written)

    def rewind(self) -> None:
        """Forget what was drawn and not written: the next token is drawn as if for the first time."""
        self.random = randomness(self.request.seed, self.prompt, self.index)
        # `draw` takes one number for each token, and none where the likeliest is taken
        if self.request.temperature:
            self.random.random(len(self.written))

    def adjusted(self, logits: torch.Tensor) -> torch.Tensor:
        """(vocabulary,) what the next token is drawn from; raises ValueError where no token is possible."""
        import torch

        request = self.request
        # it must not be changed: it is what log-probabilities are of
        logits = logits.float().clone()
        if request.presence_penalty or request.frequency_penalty:
            counts = Counter(self.written)
            penalties = [
                request.presence_penalty + times * request.frequency_penalty for times in counts.values()
            ]
            logits[list(counts)] -= torch.tensor(penalties, device=logits.device)
        if request.logit_bias:
            biases = torch.tensor(list(request.logit_bias.values()), dtype=logits.dtype, device=logits.device)
            logits[list(request.logit_bias)] += biases
        if self._matcher:
            allowed = np.zeros(len(logits), np.bool_)
            found = self._matcher.allowed()[: len(logits)]
            allowed[: len(found)] = found
            logits[torch.from_numpy(~allowed).to(logits.device)] = -torch.inf
        if not logits.amax().isfinite():
            raise ValueError("no token is possible here")
        return logits

    def take(self, token: int, about: Told) -> Piece:
        """Go on with a token; what can now be given out, which may be nothing."""
        self.written.append(token)
        if token in self._vocabulary.end_ids:
            self.finish_reason = "stop"
            return self._piece(*self._spelling.end())
        text, tokens = self._spelling.add(self._token(token, about))
        if self._matcher:
            self._matcher.take(token)
        if self._spelling.stopped or (self._matcher and self._matcher.ended):
            self.finish_reason = "stop"
        elif len(self.written) == self.limit:
            self.finish_reason = "length"
        if self.finish_reason:
            more, others = self._spelling.end()
            text, tokens = text + more, tokens + others
        return self._piece(text, tokens)

    def _piece(self, text: str, tokens: tuple[Token, ...]) -> Piece:
        return Piece(self.index, text, tokens, self.finish_reason)

    def _token(self, token: int, about: Told) -> Token:
        made = _made(self._vocabulary, token, about, first=not self._has_begun)
        self._has_begun = self._has_begun or bool(self._vocabulary.said(token)[1])
        return made


def echoed(
    vocabulary: Vocabulary, prompt: Sequence[int], about: Sequence[Told]
) -> tuple[str, tuple[Token, ...]]:
    """The text of a prompt and its tokens."""
    spelling, pieces, first = Spelling(), [], True
    for token, each in zip(prompt, about, strict=True):
        pieces.append(spelling.add(_made(vocabulary, token, each, first=first)))
        first = first and not vocabulary.said(token)[1]
    pieces.append(spelling.end())
    return "".join(text for text, _ in pieces), tuple(token for _, tokens in pieces for token in tokens)


def _spelled(vocabulary: Vocabulary, prompt: Sequence[int]) -> str:
    return echoed(vocabulary, prompt, [Told()] * len(prompt))[0]


def _made(vocabulary: Vocabulary, token: int, about: Told, *, first: bool) -> Token:
    text, data = vocabulary.said(token, first=first)
    likeliest = tuple(
        Likely(other, *vocabulary.said(other, first=first), logprob) for other, logprob in about.likeliest
    )
    return Token(token, text, data, 0, about.logprob, likeliest)
