"""GPTClassifier: fine-tuning as scikit-learn knows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from tunesmith.config import parse_values
from tunesmith.errors import ConfigError, DataError
from tunesmith.listener import Listener
from tunesmith.model.forward import Floats
from tunesmith.recipe import Adapt, Recipe
from tunesmith.sklearn.given import classes_in, labels_of, texts_of, weights_of
from tunesmith.sklearn.learning import Learned, as_bytes, from_bytes, learn
from tunesmith.task import Task

__all__ = ["GPTClassifier"]

_NO_KEYS_OF_A_RECIPE = ("random_state", "verbose")
_SEEDS = 2**31 - 1


class GPTClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # it publishes no types
    """A GPT that is fine-tuned to tell the class of a text; texts are a list, an array or a column of `str`.

    Its hyperparameters are the keys of a recipe, with the same defaults. `random_state` stands for the
    recipe's `seed`: an int gives the same model each time, None another. With `verbose=1` it shows how
    training goes; otherwise it is silent.

    After `fit`: `classes_`, sorted and of the type of `y`; `recipe_`, what ran, resolved; `history_`, the
    measurements of the training. Pickling stores the files of a bundle, safetensors and JSON.
    """

    def __init__(
        self,
        base: str = "embedded",
        *,
        revision: str | None = None,
        adapt: Adapt | str | None = None,
        method: str = "auto",
        lora_rank: int = 16,
        lora_alpha: int | None = None,
        lora_dropout: float = 0.05,
        lora_targets: tuple[str, ...] | None = None,
        frozen_layers: int | None = None,
        activation_cache_mib: int = 1024,
        learning_rate: float | None = None,
        head_learning_rate_factor: float = 1.0,
        schedule: str = "linear",
        warmup_fraction: float = 0.1,
        epochs: int | None = None,
        batch_tokens: int | None = None,
        micro_batch_tokens: int = 8192,
        max_tokens: int | None = None,
        weight_decay: float = 0.01,
        max_gradient_norm: float = 1.0,
        dropout: float | None = None,
        target_replication: float | None = None,
        token_dropout: float | None = None,
        class_weights: str | None = None,
        keep: str = "best",
        evaluations_per_epoch: int = 1,
        early_stopping: int = 3,
        validation_fraction: float | None = None,
        precision: str = "auto",
        gradient_checkpointing: bool | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.base = base
        self.revision = revision
        self.adapt = adapt
        self.method = method
        self.lora_rank = lora_rank
        self.lora_alpha = lora_alpha
        self.lora_dropout = lora_dropout
        self.lora_targets = lora_targets
        self.frozen_layers = frozen_layers
        self.activation_cache_mib = activation_cache_mib
        self.learning_rate = learning_rate
        self.head_learning_rate_factor = head_learning_rate_factor
        self.schedule = schedule
        self.warmup_fraction = warmup_fraction
        self.epochs = epochs
        self.batch_tokens = batch_tokens
        self.micro_batch_tokens = micro_batch_tokens
        self.max_tokens = max_tokens
        self.weight_decay = weight_decay
        self.max_gradient_norm = max_gradient_norm
        self.dropout = dropout
        self.target_replication = target_replication
        self.token_dropout = token_dropout
        self.class_weights = class_weights
        self.keep = keep
        self.evaluations_per_epoch = evaluations_per_epoch
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.gradient_checkpointing = gradient_checkpointing
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, texts: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fine-tune on `texts` and their classes `y`, both (rows,); no row is kept for a test.

        `sample_weight`, (rows,), says how much each row counts in the loss; a weight of 0 is as if the row
        were not there. Raises ValueError where the rows or the hyperparameters cannot be used, UserError
        where the base or the disk cannot. A fit that was stopped leaves an earlier one as it was.
        """
        name = type(self).__name__
        found = self._texts(texts, fitting=True)
        labels, weights = labels_of(y, found, name), weights_of(sample_weight, found)
        if weights is not None:
            kept = np.flatnonzero(weights)
            found, labels, weights = [found[row] for row in kept], labels[kept], weights[kept]
        classes, codes = classes_in(labels, name)
        with _as_value_errors():
            names = tuple(map(str, classes.tolist()))
            task = parse_values({"labels": names}, Task, "the classes in y")
            targets = [names[code] for code in codes]
            with self._listening() as listener:
                learned = learn(task, found, targets, weights, self._recipe(), listener)
        self.classes_, self._learned = classes, learned
        return self

    @property
    def recipe_(self) -> Recipe:
        """What ran, with everything that was left open resolved."""
        return self._fitted().recipe

    @property
    def history_(self) -> tuple[Mapping[str, float], ...]:
        """The measurements of the training, in order."""
        return tuple(self._fitted().history)

    def predict_proba(self, texts: Any) -> Floats:
        """(rows, classes) the probability of each class, in the order of `classes_`."""
        predictor = self._fitted().predictor
        return predictor.probabilities(predictor.encode(self._texts(texts, fitting=False)))

    def predict(self, texts: Any) -> npt.NDArray[Any]:
        """(rows,) the likeliest class of each text."""
        places = self.predict_proba(texts).argmax(axis=1)
        predicted: npt.NDArray[Any] = self.classes_[places]
        return predicted

    def _texts(self, given: Any, *, fitting: bool) -> list[str]:
        """The texts; `fitting` tells those who read other rows than texts which they may demand."""
        texts = texts_of(given)
        if not texts:
            raise ValueError(
                f"there are 0 texts to {'learn from' if fitting else 'answer'}; at least 1 is needed"
            )
        return texts

    def _recipe(self) -> Recipe:
        values = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _NO_KEYS_OF_A_RECIPE
        }
        seed = int(check_random_state(self.random_state).randint(_SEEDS))
        return parse_values({**values, "seed": seed}, Recipe, f"a hyperparameter of {type(self).__name__}")

    @contextmanager
    def _listening(self) -> Iterator[Listener]:
        if not self.verbose:
            yield Listener()
            return
        from tunesmith.cli.progress import RichListener

        listener = RichListener()
        try:
            yield listener
        finally:
            listener.close()

    def _fitted(self) -> Learned:
        check_is_fitted(self)
        return self._learned

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        learned = state.pop("_learned", None)
        if learned is not None:
            state["_bundle"] = {"files": as_bytes(learned), "history": learned.history}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        bundle = state.pop("_bundle", None)
        super().__setstate__(state)
        if bundle is not None:
            self._learned = from_bytes(bundle["files"], bundle["history"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """What is wrong with rows and hyperparameters is a ValueError to those who use scikit-learn."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise ValueError(str(error)) from error
