"""Recipe: how it is to be learned; every default is resolved once and saved resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from tunesmith.config import Config
from tunesmith.ranges import Around, Choices, Range, as_texts, refuse_searches

__all__ = [
    "Adapt",
    "DataFacts",
    "Method",
    "Parallel",
    "Recipe",
    "are_few",
    "choose_method",
    "for_examples",
    "full_learning_rate",
    "reasons_for",
    "resolve",
]

Method = Literal["auto", "full", "lora", "qlora", "head", "frozen", "head-first"]

Parallel = Literal["ddp", "fsdp"]

# tokens of a step are counted so that a step holds about this many examples
_EXAMPLES_PER_STEP = 16
# few steps teach little: small sets are seen more often
_STEPS_AIMED_AT = 400
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 12
# fp32 weights, their gradients and AdamW's two moments
_BYTES_PER_TRAINED_PARAMETER = 16
# the same for all weights, trained or not, where a method leaves some as they are
_BYTES_PER_PARAMETER: dict[Method, int] = {
    "full": _BYTES_PER_TRAINED_PARAMETER,
    "head-first": _BYTES_PER_TRAINED_PARAMETER,
    "frozen": 10,
    "lora": 4,
    "qlora": 1,
}
# what is null becomes something else where a label has fewer examples on average: see docs/few-examples.md
_FEW_EXAMPLES_PER_LABEL = 100
_OF_FEW_EXAMPLES = {"target_replication": 1.0, "token_dropout": 0.3, "validation_fraction": 0.0}
_OF_MANY_EXAMPLES = {"target_replication": 0.0, "token_dropout": 0.0, "validation_fraction": 0.1}
_STEPS_FOR_FEW = 100
_FEWEST_EPOCHS_FOR_FEW, _MOST_EPOCHS_FOR_FEW = 12, 40
_HIGHEST_RATE_FOR_FEW = 3e-4
# adapters start at zero, and bear and need larger steps than weights
_ADAPTER_RATE_FACTOR = 10
# the margin of a pair is of sums over whole answers: steps that suit a mean over tokens would throw it far
# off, and what is learned by heart shows after few epochs
_PREFERENCE_RATE_FACTOR = 0.03
_MOST_EPOCHS_FOR_PREFERENCES = 3
_HIGHEST_ADAPTER_RATE = 2e-3
# whatever it is multiplied by, a rate stays one that a recipe may have
_HIGHEST_RATE = 0.5


class Adapt(Config):
    """What a base reads before it is fine-tuned."""

    text: tuple[str, ...] = Field(min_length=1)
    """Files of text without labels, or `train`: the texts of the training rows."""

    epochs: float = Field(default=1.0, gt=0, le=1000)
    """How often the text is read."""

    learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """The peak learning rate of AdamW; null: by the size of the base."""

    general: tuple[str, ...] = ()
    """Files of general text, mixed in against forgetting."""

    general_share: float = Field(default=0.2, ge=0, lt=1)
    """The share of all tokens that is of them, where there are any."""

    @field_validator("text", "general", mode="before", json_schema_input_type=tuple[str, ...] | str)
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def _as_adapt(value: object) -> object:
    """`adapt: train` and `adapt: notes.txt` say the text and nothing else."""
    return {"text": value} if isinstance(value, str) else value


class Recipe(Config):
    """How it is to be learned. `null`: chosen from the data and the base when training starts."""

    base: str = "embedded"
    """Where to start: `embedded`, a directory, or a hub name such as `openai-community/gpt2`."""

    revision: str | None = None
    """The commit, tag or branch of a hub base."""

    adapt: Annotated[Adapt, BeforeValidator(_as_adapt, json_schema_input_type=Adapt | str)] | None = None
    """What the base reads first: `train`, the texts of the training rows, or files without labels."""

    method: Annotated[Method, Choices(("full", "lora", "frozen", "head-first"))] = "auto"
    """What is trained: `full`, `lora`, `qlora`, `head`, `frozen` or `head-first`; `auto` goes by memory."""

    lora_rank: Annotated[int, Range(4, 64, log=True)] = Field(default=16, ge=1, le=4096)
    """The rank of the adapters of `lora` and `qlora`."""

    lora_alpha: int | None = Field(default=None, ge=1)
    """Adapters are scaled by this over their rank; null: twice the rank."""

    lora_dropout: Annotated[float, Range(0, 0.3, unasked=False)] = Field(default=0.05, ge=0, lt=1)
    """Dropout before the adapters while training."""

    lora_targets: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Names, or ends of names, of the linear layers that get adapters; null: all of the blocks."""

    frozen_layers: int | None = Field(default=None, ge=0)
    """How many of the lower blocks `frozen` leaves as they are; null: half of them."""

    beta: Annotated[float, Range(0.03, 0.5, log=True, unasked=False)] = Field(default=0.1, gt=0, le=2)
    """How firmly learning from preferences holds on to the base: the larger, the firmer."""

    activation_cache_mib: int = Field(default=1024, ge=0)
    """What `frozen` may keep in memory; more than this is kept on disk while training."""

    learning_rate: Annotated[float | None, Around(10)] = Field(default=None, gt=0, lt=1)
    """The peak learning rate of AdamW."""

    learning_rate_factor: float = Field(default=1.0, gt=0, le=1000)
    """What is chosen where `learning_rate` is null is multiplied by this."""

    head_learning_rate_factor: Annotated[float, Range(0.3, 30, log=True, unasked=False)] = Field(
        default=1.0, gt=0, le=1000
    )
    """The new head learns this many times faster than the base."""

    schedule: Annotated[Literal["linear", "cosine"], Choices(("linear", "cosine"), unasked=False)] = "linear"
    """How the learning rate falls to zero after warm-up."""

    warmup_fraction: Annotated[float, Range(0, 0.3)] = Field(default=0.1, ge=0, lt=1)
    """The share of all steps in which the learning rate rises from zero."""

    epochs: Annotated[int | None, Around(2)] = Field(default=None, ge=1, le=1000)
    """How often each training example is seen."""

    batch_tokens: Annotated[int | None, Around(4)] = Field(default=None, ge=1)
    """Tokens a step: a step takes shuffled examples until this is reached."""

    batch_examples: int = Field(default=_EXAMPLES_PER_STEP, ge=1)
    """Where `batch_tokens` is null, it becomes the tokens of so many examples of mean length."""

    micro_batch_tokens: int = Field(default=8192, ge=1)
    """Tokens, padding included, of one forward pass; a step is accumulated from such passes."""

    max_tokens: int | None = Field(default=None, ge=1)
    """Longer texts are cut to this many tokens; at most the window of the base."""

    weight_decay: Annotated[float, Range(1e-4, 0.3, log=True)] = Field(default=0.01, ge=0)
    """AdamW weight decay, on weight matrices only (not on norms and biases)."""

    max_gradient_norm: Annotated[float, Range(0.1, 10, log=True, unasked=False)] = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""

    dropout: Annotated[float | None, Range(0, 0.3)] = Field(default=None, ge=0, lt=1)
    """Dropout in the base while training; null keeps what the base was made with."""

    target_replication: Annotated[float | None, Range(0, 1, unasked=False)] = Field(default=None, ge=0, le=1)
    """The share of a text's loss that asks each of its tokens for the label, not its last alone."""

    token_dropout: Annotated[float | None, Range(0, 0.5, unasked=False)] = Field(default=None, ge=0, lt=1)
    """The chance of each token of a text to be left out, anew each time the text is trained on."""

    class_weights: Annotated[Literal["none", "auto"] | None, Choices(("none", "auto"))] = None
    """`auto` weighs labels by inverse frequency; null: `auto` where one has over 3 times another's rows."""

    keep: Literal["best", "last"] = "best"
    """Which weights stay: the `best` on the validation rows, or the `last`, so that those choose nothing."""

    evaluations_per_epoch: int = Field(default=1, ge=1, le=1000)
    """How often in each epoch the validation rows are measured: at equal distances, and at its end."""

    early_stopping: int = Field(default=3, ge=0)
    """Stop after this many epochs without a better validation score; 0, and with `keep: last`: never."""

    validation_fraction: float | None = Field(default=None, ge=0, lt=0.5)
    """The share of the training file kept for validation where no file is given; 0: the last weights stay."""

    test_fraction: float = Field(default=0.15, ge=0, lt=0.5)
    """The share of the training file kept for the test where no file is given; 0: nothing is measured."""

    group_column: str | None = None
    """Rows with the same value in this column stay together in a split: an author, a case."""

    time_column: str | None = None
    """The latest rows by this column are the test, those before them the validation."""

    split: str | None = None
    """A split that was saved before, by `tunesmith split` or as split.json of a run; nothing is drawn."""

    fold: int | None = Field(default=None, ge=1)
    """Of a saved split in folds, the one that is the test."""

    max_new_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of an answer that a model writes; null: those of the longest training answer."""

    judged_rows: int = Field(default=1000, ge=1)
    """A model that writes answers at most this many test rows, drawn by `seed`; labels take all rows."""

    rival_seconds: float = Field(default=120.0, ge=0)
    """What the rivals of labels may take together; the majority and TF-IDF always run, others if they fit."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """The number format of the forward pass; weights stay fp32. `auto`: the best that the hardware has."""

    gradient_checkpointing: bool | Literal["auto"] = "auto"
    """Compute activations twice, not keep them: less memory, more time. `auto`: where they would not fit."""

    parallel: Parallel | None = None
    """Where torchrun starts several processes: `ddp`, a copy each; `fsdp`, a part each. null: `ddp`."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """Decides the split, the batch order, the head's first weights and dropout."""

    search: Annotated[
        dict[str, str], BeforeValidator(as_texts, json_schema_input_type=dict[str, str | float | list[str]])
    ] = Field(default={})
    """What `tunesmith tune` searches: key: `low..high`, choices, one value, `default` or `off`."""

    @field_validator("search")
    @classmethod
    def _can_be_searched(cls, value: dict[str, str]) -> dict[str, str]:
        refuse_searches(cls, value)
        return value


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the defaults of a recipe depend on."""

    examples: int
    mean_tokens: float
    longest_tokens: int
    label_counts: tuple[int, ...]
    window: int
    """The most positions the base can read."""
    parameters: int
    answer_tokens: int = 0
    """The tokens of the longest answer that is to be written; 0: none is."""
    blocks: int = 0
    linear_layers: tuple[str, ...] = ()
    """The full names of the linear layers of the blocks."""
    processes: int = 1
    bf16_in_hardware: bool = False
    """Whether the device that trains multiplies bf16 itself."""
    fp16_in_hardware: bool = False
    """Whether the device that trains multiplies fp16 itself."""
    activation_bytes_per_token: int = 0
    """About what training keeps of each token; 0: the base cannot do without."""
    free_bytes: int | None = None
    """The free memory of the device that trains; None: not known."""
    few_examples: bool = False
    """What `are_few` said."""
    preferences: bool = False
    """Whether a row is a pair of answers, the lengths being those of the longer."""


def are_few(examples: int, labels: int) -> bool:
    """Whether there are so few examples of each label that another recipe does better."""
    return examples < _FEW_EXAMPLES_PER_LABEL * labels


def for_examples(recipe: Recipe, *, few: bool) -> Recipe:
    """Replace the nulls that depend on nothing but whether examples are few."""
    values = _OF_FEW_EXAMPLES if few else _OF_MANY_EXAMPLES
    left_open = {name: value for name, value in values.items() if getattr(recipe, name) is None}
    return recipe.model_copy(update=left_open)


def resolve(recipe: Recipe, facts: DataFacts) -> Recipe:
    """Replace every null by the value that will be used; the result is what a run saves."""
    recipe = for_examples(recipe, few=facts.few_examples)
    max_tokens = min(recipe.max_tokens or facts.window, facts.window)
    mean_tokens = _row_tokens(facts, max_tokens)
    batch_tokens = recipe.batch_tokens or max(1, round(recipe.batch_examples * mean_tokens))
    method = choose_method(facts)[0] if recipe.method == "auto" else recipe.method
    return recipe.model_copy(
        update={
            "method": method,
            "precision": _precision(facts)[0] if recipe.precision == "auto" else recipe.precision,
            "gradient_checkpointing": _gradient_checkpointing(recipe, facts)[0],
            "max_tokens": max_tokens,
            "max_new_tokens": _max_new_tokens(recipe, facts, max_tokens),
            "batch_tokens": batch_tokens,
            "epochs": recipe.epochs or _epochs(facts, facts.examples * mean_tokens / batch_tokens),
            "learning_rate": recipe.learning_rate or _learning_rate(recipe, facts, method),
            "class_weights": recipe.class_weights or _class_weights(facts.label_counts),
            # noise in one of two answers and not in the other is noise in their margin
            "dropout": 0.0 if facts.preferences and recipe.dropout is None else recipe.dropout,
            "parallel": recipe.parallel or ("ddp" if facts.processes > 1 else None),
            **_of_method(recipe, method, facts),
        }
    )


def _row_tokens(facts: DataFacts, max_tokens: int) -> float:
    """The tokens of a row that pass through the model, in the mean."""
    return (2 if facts.preferences else 1) * min(facts.mean_tokens, max_tokens)


def _max_new_tokens(recipe: Recipe, facts: DataFacts, max_tokens: int) -> int | None:
    """Null stays null where nothing is written; else a prompt keeps half of what can be read."""
    longest = recipe.max_new_tokens or facts.answer_tokens
    return min(longest, max(1, max_tokens // 2)) if facts.answer_tokens else recipe.max_new_tokens


def choose_method(facts: DataFacts) -> tuple[Method, str]:
    """What `auto` becomes, and why."""
    needed = facts.parameters * _BYTES_PER_TRAINED_PARAMETER
    sizes = f"weights, gradients and moments take {_gib(needed)}"
    if facts.free_bytes is not None and needed > facts.free_bytes / 2:
        return "lora", f"{sizes}, over half of the {_gib(facts.free_bytes)} that are free"
    return "full", f"{sizes}, which fits"


def _precision(facts: DataFacts) -> tuple[Literal["fp32", "bf16", "fp16"], str]:
    """What `auto` becomes, and why."""
    if facts.bf16_in_hardware:
        return "bf16", "this machine multiplies bf16 in hardware"
    if facts.fp16_in_hardware:
        return "fp16", "this machine multiplies fp16 in hardware, and bf16 not"
    return "fp32", "this machine does not multiply bf16 in hardware"


def _gradient_checkpointing(recipe: Recipe, facts: DataFacts) -> tuple[bool, str]:
    """What it becomes, and why."""
    if recipe.gradient_checkpointing != "auto":
        return recipe.gradient_checkpointing, "the recipe says so"
    method = choose_method(facts)[0] if recipe.method == "auto" else recipe.method
    if method == "head":
        return False, "the head alone keeps no activations"
    most = min(recipe.max_tokens or facts.window, facts.window)
    step_tokens = recipe.batch_tokens or round(recipe.batch_examples * _row_tokens(facts, most))
    longest = min(facts.longest_tokens, most) * (2 if facts.preferences else 1)
    activations = facts.activation_bytes_per_token * max(longest, min(recipe.micro_batch_tokens, step_tokens))
    others = facts.parameters * _BYTES_PER_PARAMETER[method]
    sizes = f"activations take {_gib(activations)} beside {_gib(others)} of weights and moments"
    if activations and facts.free_bytes is not None and activations + others > facts.free_bytes:
        return True, f"{sizes}, over the {_gib(facts.free_bytes)} that are free"
    return False, f"{sizes}, which fits"


def _gib(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"


def reasons_for(recipe: Recipe, facts: DataFacts) -> dict[str, str]:
    """Why what `recipe` leaves to `auto` becomes what it does."""
    reasons = {
        "method": choose_method(facts)[1],
        "gradient_checkpointing": _gradient_checkpointing(recipe, facts)[1],
        "precision": _precision(facts)[1],
    }
    told = {name: reason for name, reason in reasons.items() if getattr(recipe, name) == "auto"}
    few = f"there are only {facts.examples / max(1, len(facts.label_counts)):.0f} examples a label"
    return told | dict.fromkeys(_changed_by_few(recipe, facts), few)


def _changed_by_few(recipe: Recipe, facts: DataFacts) -> list[str]:
    """What becomes something else than it would with many examples."""
    with_many = resolve(recipe, replace(facts, few_examples=False))
    return [name for name, value in resolve(recipe, facts) if value != getattr(with_many, name)]


def _of_method(recipe: Recipe, method: Method, facts: DataFacts) -> dict[str, object]:
    """The nulls that only some methods read; for the others they stay null."""
    match method:
        case "lora" | "qlora":
            names = sorted({name.rpartition(".")[2] for name in facts.linear_layers})
            alpha = recipe.lora_alpha or 2 * recipe.lora_rank
            return {"lora_alpha": alpha, "lora_targets": recipe.lora_targets or tuple(names)}
        case "frozen" if recipe.frozen_layers is None:
            return {"frozen_layers": facts.blocks // 2}
        case _:
            return {}


def _epochs(facts: DataFacts, steps_per_epoch: float) -> int:
    steps, fewest, most = _STEPS_AIMED_AT, _FEWEST_EPOCHS, _MOST_EPOCHS
    if facts.few_examples:
        steps, fewest, most = _STEPS_FOR_FEW, _FEWEST_EPOCHS_FOR_FEW, _MOST_EPOCHS_FOR_FEW
    if facts.preferences:
        fewest, most = 1, _MOST_EPOCHS_FOR_PREFERENCES
    return max(fewest, min(most, round(steps / max(1.0, steps_per_epoch))))


def _learning_rate(recipe: Recipe, facts: DataFacts, method: Method) -> float:
    rate = full_learning_rate(facts.parameters)
    rate = min(rate, _HIGHEST_RATE_FOR_FEW) if facts.few_examples else rate
    rate = _PREFERENCE_RATE_FACTOR * rate if facts.preferences else rate
    if method in ("lora", "qlora"):
        rate = min(_HIGHEST_ADAPTER_RATE, _ADAPTER_RATE_FACTOR * rate)
    return min(_HIGHEST_RATE, recipe.learning_rate_factor * rate)


def full_learning_rate(parameters: int) -> float:
    """The peak learning rate for all weights of a model of this size."""
    # smaller models bear, and need, larger steps
    match parameters:
        case count if count < 20_000_000:
            return 1e-3
        case count if count < 60_000_000:
            return 3e-4
        case count if count < 500_000_000:
            return 5e-5
        case _:
            return 2e-5


def _class_weights(label_counts: tuple[int, ...]) -> Literal["none", "auto"]:
    present = [count for count in label_counts if count]
    return "auto" if present and max(present) > 3 * min(present) else "none"
