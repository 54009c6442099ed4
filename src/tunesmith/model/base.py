"""A base's name or path -> where it is, checked, and what reads texts for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tunesmith.errors import BaseError, Problem
from tunesmith.files import read_json
from tunesmith.hub import only_local

__all__ = [
    "EMBEDDED",
    "Reader",
    "base_errors",
    "base_location",
    "embedded_base",
    "load_config",
    "load_reader",
    "load_tokenizer",
    "loading_options",
    "quiet_transformers",
    "reader_at",
    "window_of",
]

EMBEDDED = "embedded"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_WINDOW_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
# tokenizers without a limit of their own report an astronomic one
_NO_LIMIT = 1_000_000
# what transformers meets in files that hold anything else than it expects
_FAULTS = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, ArithmeticError),
    SafetensorError,
)


@dataclass(frozen=True, slots=True)
class Reader:
    """A base's tokenizer, and the most tokens the base can read."""

    tokenizer: Any
    window: int


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
    if "auto_map" in _object_in(path / "config.json"):
        raise _remote_code("the model brings its own code (`auto_map`)", str(path / "config.json"))
    if not any(path.glob("*.safetensors")):
        raise _unsafe_weights("the weights are not safetensors", path)
    for index in path.glob("*.index.json"):
        _refuse_other_weights(index)
    if (path / "adapter_config.json").exists():
        # transformers would put it into the model unasked
        fix = "merge the adapter into the model, or take adapter_config.json out of the directory"
        what = "an adapter lies in the directory of the model, and it is not clear which of the two is meant"
        raise BaseError(Problem("base-with-adapter", what, str(path), fix))
    return path


def _object_in(path: Path) -> dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict):
        fix = "copy the base again from where it came from"
        raise BaseError(Problem("bad-base", "the file holds no JSON object", str(path), fix))
    return values


def _refuse_other_weights(index: Path) -> None:
    # transformers opens whatever an index names, what is not safetensors as a pickle, and where `..` leads
    parts = _object_in(index).get("weight_map")
    names = set(map(str, parts.values())) if isinstance(parts, dict) else {""}
    if not all(name.endswith(".safetensors") and Path(name).name == name for name in names):
        raise _unsafe_weights("the index of the weights names what are no safetensors beside it", index)


def _unsafe_weights(what: str, path: Path) -> BaseError:
    fix = "convert it: load it with transformers where you trust it, and save_pretrained()"
    return BaseError(
        Problem("unsafe-weights", f"{what}; pickled weights can run code and are refused", str(path), fix)
    )


def _remote_code(what: str, where: str) -> BaseError:
    fix = "use a base of an architecture that transformers itself contains"
    return BaseError(Problem("remote-code", f"{what}, and tunesmith never runs such code", where, fix))


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep advice and bars of transformers and its hub off the screen: tunesmith tells what matters."""
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    verbosity, of_hub = logging.get_verbosity(), hub.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    # each try of a download that fails; the last failure becomes an error of ours
    hub.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        hub.set_verbosity(of_hub)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def load_reader(base: str, *, revision: str | None = None) -> Reader:
    """Load only what counts tokens; raises BaseError as loading the model does."""
    return reader_at(base_location(base), revision=revision)


def reader_at(location: str, *, revision: str | None = None) -> Reader:
    """As `load_reader`, of a hub name or a directory, which need not hold weights."""
    options = loading_options(location, revision)
    with quiet_transformers(), base_errors(location):
        tokenizer = load_tokenizer(location, options)
        return Reader(tokenizer, window_of(load_config(location, options), tokenizer))


def loading_options(location: str, revision: str | None) -> dict[str, Any]:
    """What transformers is told whenever it loads something of a base; asks once whether there is a hub."""
    return {
        "revision": revision or "main",
        "trust_remote_code": False,
        "local_files_only": only_local(location),
    }


def load_tokenizer(location: str, options: Mapping[str, Any]) -> Any:
    """A tokenizer that pads and cuts on the right; raises BaseError where it has nothing to pad with."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(location, use_fast=True, **options)
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


def load_config(location: str, options: Mapping[str, Any]) -> Any:
    """What transformers knows of the model before it loads its weights.

    Raises BaseError where it names code on a hub, which transformers would fetch and run.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(location, **options)
    for name, value in _settings(config):
        if "_implementation" in name and "/" in str(value):
            raise _remote_code(f"the model names code on a hub (`{name}`)", location)
    return config


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """What a config says, and the configs within it."""
    for name, value in vars(config).items():
        yield name, value
        if hasattr(value, "model_type"):
            yield from _settings(value)


def window_of(config: Any, tokenizer: Any) -> int:
    """The most tokens that model and tokenizer can read."""
    limits = [getattr(config, key) for key in _WINDOW_KEYS if isinstance(getattr(config, key, None), int)]
    if tokenizer.model_max_length < _NO_LIMIT:
        limits.append(tokenizer.model_max_length)
    return min(limits, default=1024)


@contextmanager
def base_errors(base: str) -> Iterator[None]:
    """Turn what transformers raises over a base into a BaseError."""
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (*_FAULTS, StrictDataclassError) as error:
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
    fix = "use a decoder that transformers knows, such as GPT-2, GPT-Neo, GPT-NeoX, GPT-J, Llama or Qwen"
    return Problem("bad-base", f"transformers cannot load it for this task: {reason}", base, fix)
