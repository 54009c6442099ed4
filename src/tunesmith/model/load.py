"""A base's name or path -> model and tokenizer, ready for the task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tunesmith.errors import BaseError, Problem
from tunesmith.files import read_json
from tunesmith.model.faster import use_fast_modules
from tunesmith.task import Kind

__all__ = [
    "EMBEDDED",
    "HEADS",
    "Classifier",
    "Reader",
    "base_location",
    "embedded_base",
    "load_classifier",
    "load_reader",
    "quiet_transformers",
]

EMBEDDED = "embedded"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_WINDOW_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
_DROPOUT_KEYS = (
    "attn_pdrop",
    "attention_dropout",
    "classifier_dropout",
    "embd_pdrop",
    "embed_dropout",
    "hidden_dropout",
    "resid_dropout",
    "resid_pdrop",
)
HEADS = ("score.", "classifier.")
"""What the names of a head's weights begin with."""
# what transformers calls the kinds of a task; its pipelines choose softmax or sigmoid by it
_PROBLEM_TYPES: dict[Kind, str] = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
}
# tokenizers without a limit of their own report an astronomic one
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Reader:
    """A base's tokenizer, and the most tokens the base can read."""

    tokenizer: Any
    window: int


@dataclass(frozen=True, slots=True)
class Classifier:
    """A sequence-classification model and its tokenizer, padded on the right."""

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    window: int
    """The most tokens the model can read."""

    @property
    def multi_label(self) -> bool:
        """Whether a text may have several labels: each then has a probability of its own."""
        return bool(self.model.config.problem_type == _PROBLEM_TYPES["multi_label"])

    @property
    def parameters(self) -> int:
        """How many numbers the model holds."""
        return int(self.model.num_parameters())


def embedded_base() -> Path:
    """The directory of the base that tunesmith carries."""
    return Path(str(files("tunesmith") / "base"))


def base_location(base: str) -> str:
    """A local directory or a hub name for `base`; raise BaseError where it can be neither."""
    if base == EMBEDDED:
        return str(_checked_directory(embedded_base()))
    path = Path(base).expanduser()
    if path.is_dir():
        return str(_checked_directory(path))
    if path.exists() or not _HUB_NAME.fullmatch(base) or base.startswith("."):
        fix = "name a directory with config.json and model.safetensors, a hub name, or `embedded`"
        raise BaseError(Problem("no-base", "this is no model directory", base, fix))
    return base


def _checked_directory(path: Path) -> Path:
    if not (path / "config.json").is_file():
        fix = "name a directory with config.json, model.safetensors and tokenizer files"
        raise BaseError(Problem("no-base", "the directory holds no config.json", str(path), fix))
    config = read_json(path / "config.json")
    if "auto_map" in config:
        fix = "use a base of an architecture that transformers itself contains"
        what = "the model brings its own code (`auto_map`), and tunesmith never runs such code"
        raise BaseError(Problem("remote-code", what, str(path / "config.json"), fix))
    if not any(path.glob("*.safetensors")):
        fix = "convert it: load it with transformers where you trust it, and save_pretrained()"
        what = "the weights are not safetensors; pickled weights can run code and are refused"
        raise BaseError(Problem("unsafe-weights", what, str(path), fix))
    return path


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' advice and progress bars off the screen: tunesmith tells what matters."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def load_reader(base: str, *, revision: str | None = None) -> Reader:
    """Load only what counts tokens; raises BaseError as `load_classifier` does."""
    location = base_location(base)
    with quiet_transformers(), _base_errors(base):
        tokenizer = _load_tokenizer(location, revision)
        config = _load_config(location, revision)
    return Reader(tokenizer, _window(config, tokenizer))


def load_classifier(
    base: str,
    labels: Sequence[str],
    *,
    kind: Kind = "single_label",
    revision: str | None = None,
    seed: int = 0,
    dropout: float | None = None,
    new_head: bool = True,
    quantization: Any = None,
) -> Classifier:
    """Load `base` with a head for `labels`, a pad token and right padding.

    A head that the base lacks, or that has other labels, is drawn anew from `seed`; without `new_head`
    it is refused instead.
    Raises BaseError: not found, no classification head in transformers, unsafe weights.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    location = base_location(base)
    torch.manual_seed(seed)
    names = dict(enumerate(labels))
    with quiet_transformers(), _base_errors(base):
        tokenizer = _load_tokenizer(location, revision)
        config = _load_config(location, revision)
        _refuse_foreign_tokenizer(tokenizer, config, base)
        _prepare_config(config, kind, names, dropout)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            location,
            config=config,
            revision=revision or "main",
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            output_loading_info=True,
            **_placed(quantization),
        )
    mismatched = (name for name, *_shapes in loading["mismatched_keys"])
    _refuse_missing([*loading["missing_keys"], *mismatched], base, new_head)
    model.config.pad_token_id = tokenizer.pad_token_id
    use_fast_modules(model)
    return Classifier(model, tokenizer, tuple(labels), _window(model.config, tokenizer))


def _placed(quantization: Any) -> dict[str, Any]:
    import torch

    if quantization is None:
        return {}
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": quantization, "device_map": {"": device}}


def _refuse_missing(names: Iterable[str], base: str, new_head: bool) -> None:
    """Only the head may be new: any other weight that the base lacks, or has in another shape, is noise."""
    missing = sorted(name for name in names if not (new_head and name.startswith(HEADS)))
    if missing:
        what = f"{len(missing)} weights do not fit the architecture or are missing, such as {missing[0]}"
        fix = "check that config.json and the weights belong together, or use another base"
        raise BaseError(Problem("weights-do-not-fit", what, base, fix))


def _load_tokenizer(location: str, revision: str | None) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        location, revision=revision or "main", trust_remote_code=False, use_fast=True
    )
    if tokenizer.pad_token is None:
        # padding is told apart by length, never by token id, so that EOS may serve as pad
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        fix = "add a pad or end-of-text token to the tokenizer, or use another base"
        raise BaseError(
            Problem("no-pad-token", "the tokenizer has no special token to pad with", location, fix)
        )
    # left padding moves the positions of GPT-2 and GPT-Neo and changes their answers
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"
    return tokenizer


def _load_config(location: str, revision: str | None) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(location, revision=revision or "main", trust_remote_code=False)


def _refuse_foreign_tokenizer(tokenizer: Any, config: Any, base: str) -> None:
    """Every token must have an embedding: one that has none ends training at the first text that holds it."""
    highest = max(tokenizer.get_vocab().values(), default=-1)
    if highest >= config.vocab_size:
        what = (
            f"the tokenizer has token ids up to {highest:,}, but the model only {config.vocab_size:,} tokens"
        )
        fix = (
            "take the tokenizer that belongs to the model; where tokens were added to it, give the model "
            "rows for them with transformers' resize_token_embeddings() and save both"
        )
        raise BaseError(Problem("tokenizer-does-not-fit", what, base, fix))


def _prepare_config(config: Any, kind: Kind, names: dict[int, str], dropout: float | None) -> None:
    config.num_labels = len(names)
    config.id2label = names
    config.label2id = {label: label_id for label_id, label in names.items()}
    config.problem_type = _PROBLEM_TYPES[kind]
    config.use_cache = False
    if dropout is not None:
        for key in _DROPOUT_KEYS:
            if hasattr(config, key):
                setattr(config, key, dropout)


def _window(config: Any, tokenizer: Any) -> int:
    limits = [getattr(config, key) for key in _WINDOW_KEYS if isinstance(getattr(config, key, None), int)]
    if tokenizer.model_max_length < _NO_LIMIT:
        limits.append(tokenizer.model_max_length)
    return min(limits, default=1024)


@contextmanager
def _base_errors(base: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BaseError(_base_problem(base, error)) from error


def _base_problem(base: str, error: Exception) -> Problem:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, OSError) and base != EMBEDDED and not Path(base).expanduser().is_dir():
        fix = (
            "check the name and the connection; or give a directory that holds the model "
            "(copied from a machine that has it), or use `--base embedded`, which needs no network"
        )
        what = "the model is not on this machine and the hub did not give it"
        return Problem("base-unreachable", f"{what}: {reason}", base, fix)
    fix = "use a decoder that transformers can classify with: GPT-2, GPT-Neo, GPT-NeoX, GPT-J, Llama, Qwen, …"
    return Problem("bad-base", f"transformers cannot load it as a classifier: {reason}", base, fix)
