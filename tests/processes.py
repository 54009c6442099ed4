"""What two processes do together, seen by each: started by torchrun, once for all tests.

Every scenario returns what its process saw; nothing is judged here, so that none waits for one that failed.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests import loops
from tests.models import POLITICS, SPORTS, save_tiny_base
from tunesmith.errors import DataError, Problem, UserError
from tunesmith.model.encode import encode
from tunesmith.model.forward import logits_of
from tunesmith.model.generator import load_generator
from tunesmith.model.language import token_sums
from tunesmith.model.load import Classifier, load_classifier
from tunesmith.model.targets import EncodedTargets
from tunesmith.processes import ALONE, Processes
from tunesmith.recipe import DataFacts, Parallel, Recipe, resolve
from tunesmith.torchrun import join
from tunesmith.training.batches import Plan
from tunesmith.training.checkpoint import Checkpoints
from tunesmith.training.completion import Completion
from tunesmith.training.loop import Fitted, Interrupted, fit
from tunesmith.training.methods import Job, fine_tune
from tunesmith.training.objective import Classification, label_weights
from tunesmith.training.preference import Preferring

# texts of `phi` are padded
ALIKE: dict[Parallel, tuple[str, ...]] = {
    "ddp": ("gpt2", "phi"),
    "fsdp": ("gpt2", "gpt_neox", "llama", "phi"),
}
LABELS = ("politics", "sports")
ROWS = 22
SETTINGS = replace(loops.SETTINGS, micro_batch_tokens=60, packed=True)
# a few rows a step, sometimes one: a process has less to do than the other, or nothing
BATCH_TOKENS = 80


class Texts(Classification):
    """Texts of several lengths; may spoil a row, or have memory for so many tokens at once."""

    bad_row: int | None = None
    most_tokens: int = 1 << 30
    seeds: list[int]

    def loss(self, model: Any, rows: Sequence[int]) -> torch.Tensor:
        self.seeds.append(torch.initial_seed())
        loss = super().loss(model, rows)
        if int(self.lengths[list(rows)].sum()) > self.most_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return loss * math.inf if self.bad_row in rows else loss


class Workshop:
    """Makes the same things in every process, in a directory of each."""

    def __init__(self, directory: Path, processes: Processes) -> None:
        self.directory, self.processes = directory, processes
        self.notes: list[str] = []

    def classifier(self, architecture: str, dropout: float = 0.0) -> Classifier:
        return load_classifier(str(self.directory / architecture), LABELS, dropout=dropout)

    def objective(self, classifier: Classifier) -> Texts:
        texts = [f"{(POLITICS, SPORTS)[i % 2][i % 3]} {' and more' * (i % 5)} {i}" for i in range(ROWS)]
        ids = [i % 2 for i in range(ROWS)]
        encoded = encode(classifier.tokenizer, texts, 64)
        objective = Texts(encoded, ids, classifier.tokenizer.pad_token_id, label_weights(ids, 2))
        objective.seeds = []
        return objective

    def fit(
        self,
        classifier: Classifier,
        objective: Texts,
        out: str,
        parallel: Parallel | None,
        processes: Processes | None = None,
        **options: Any,
    ) -> Fitted:
        processes = self.processes if processes is None else processes
        options.setdefault("evaluate", lambda _: {"score": 0.0})
        options.setdefault("settings", SETTINGS)
        return fit(
            classifier.model,
            objective,
            Plan(objective.lengths, 2, BATCH_TOKENS, 1),
            checkpoints=Checkpoints(self.directory / out),
            on_note=self.notes.append,
            processes=processes,
            parallel=parallel,
            **options,
        )


def weights(classifier: Classifier) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in classifier.model.parameters()])


def _digest(values: torch.Tensor) -> str:
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()


def _losses(fitted: Fitted) -> list[float]:
    return [row["train_loss"] for row in fitted.history]


def same(shop: Workshop, architecture: str, parallel: Parallel) -> dict[str, Any]:
    """How far two processes end from one that did it alone."""
    packed = architecture != "phi"
    settings = replace(SETTINGS, packed=packed)
    one, two = shop.classifier(architecture), shop.classifier(architecture)
    place = f"same-{architecture}-{parallel}"
    alone = f"{place}-alone-{shop.processes.rank}"
    first = shop.fit(one, shop.objective(one), alone, None, ALONE, settings=settings)
    second = shop.fit(two, shop.objective(two), place, parallel, settings=settings)
    moved = shop.classifier(architecture)
    return {
        "weights": float((weights(one) - weights(two)).abs().max()),
        "moved": float((weights(one) - weights(moved)).abs().max()),
        "losses": float(np.abs(np.subtract(_losses(first), _losses(second))).max()),
        "digest": _digest(weights(two)),
        "is_training": two.model.training,
    }


def written(shop: Workshop, parallel: Parallel) -> dict[str, Any]:
    """The same with a model that writes, whose head is its embeddings; some rows have nothing to learn."""
    ends, losses = [], []
    for processes in (ALONE, shop.processes):
        generator = load_generator(str(shop.directory / "gpt2"), dropout=0.0)
        encoded = shop.objective(shop.classifier("gpt2")).encoded
        learned = np.repeat(np.arange(ROWS) % 5 > 1, encoded.lengths)
        learned[encoded.starts[:-1]] = False
        texts = EncodedTargets(encoded, learned)
        rank = shop.processes.rank if processes is ALONE else 0
        fitted = fit(
            generator.model,
            Completion(texts, 0),
            Plan(encoded.lengths, 2, BATCH_TOKENS, 1),
            SETTINGS,
            evaluate=partial(_figures, texts=texts, processes=processes),
            checkpoints=Checkpoints(shop.directory / f"written-{parallel}-{processes.count}-{rank}"),
            processes=processes,
            parallel=parallel,
        )
        ends.append(torch.cat([value.detach().flatten() for value in generator.model.parameters()]))
        losses.append(_losses(fitted) + [row["log_loss"] for row in fitted.history if "log_loss" in row])
    return {
        "weights": float((ends[0] - ends[1]).abs().max()),
        "losses": float(np.abs(np.subtract(losses[0], losses[1])).max()),
        "digest": _digest(ends[1]),
    }


def preferred(shop: Workshop) -> dict[str, Any]:
    """Pairs of answers, of which the base is asked by all, or by one; what it said is found again."""
    ends, said = [], []
    for processes in (ALONE, shop.processes):
        generator = load_generator(str(shop.directory / "gpt2"), dropout=0.0)
        encoded = shop.objective(shop.classifier("gpt2")).encoded
        learned = np.concatenate([np.arange(length) > 2 for length in encoded.lengths])
        rank = shop.processes.rank if processes is ALONE else 0
        kept = Checkpoints(shop.directory / f"preferred-{processes.count}-{rank}")
        for resume in (False, True):
            objective = Preferring(EncodedTargets(encoded, learned), 0, 0.1)
            objective.refer(
                generator.model, kept, "base", micro_batch_tokens=60, resume=resume, processes=processes
            )
            said.append(objective.reference.tolist())
        # several pairs a step, so that there is something to share
        plan = Plan(objective.lengths, 2, 4 * BATCH_TOKENS, 1)
        fit(
            generator.model,
            objective,
            plan,
            SETTINGS,
            evaluate=None,
            checkpoints=kept,
            processes=processes,
            parallel="ddp",
        )
        ends.append(torch.cat([value.detach().flatten() for value in generator.model.parameters()]))
    return {
        "reference": all(each == said[0] for each in said),
        "margins": objective.figures(generator.model, 60)["reward_margin"],
        "weights": float((ends[0] - ends[1]).abs().max()),
        "digest": _digest(ends[1]),
    }


def _figures(model: Any, texts: EncodedTargets, processes: Processes) -> dict[str, float]:
    figures = token_sums(model, texts, 0, 60, processes).figures()
    return {"score": -figures["log_loss"], **figures}


def methods(shop: Workshop, parallel: Parallel, **recipe: Any) -> dict[str, Any]:
    """The same with a recipe, through the methods."""
    one, two = (
        _fine_tuned(shop, Recipe(parallel=parallel, **recipe), who) for who in (ALONE, shop.processes)
    )
    return {"weights": float((one - two).abs().max()), "digest": _digest(two)}


def _fine_tuned(shop: Workshop, asked: Recipe, processes: Processes) -> torch.Tensor:
    classifier = shop.classifier("gpt2")
    objective = shop.objective(classifier)
    names = ("transformer.h.0.attn.c_attn", "transformer.h.1.mlp.c_fc")
    facts = DataFacts(
        examples=ROWS,
        mean_tokens=10,
        longest_tokens=30,
        label_counts=(11, 11),
        window=64,
        parameters=10_000,
        linear_layers=names,
        processes=processes.count,
    )
    recipe = resolve(asked, facts)
    rank = shop.processes.rank if processes is ALONE else 0
    place = f"{asked.method}-{asked.parallel}-{processes.count}-{rank}"
    plan = Plan(objective.lengths, 2, BATCH_TOKENS, 1)
    evaluate: Any = lambda _: {"score": 0.0}  # noqa: E731
    checkpoints = Checkpoints(shop.directory / place)
    job = Job(classifier, recipe, objective, objective, plan, SETTINGS, evaluate, checkpoints)
    _, trained = fine_tune(replace(job, processes=processes))
    return weights(trained)


def resumed(shop: Workshop, parallel: Parallel) -> dict[str, Any]:
    """Stopped by one process alone, and gone on with, under dropout: what an uninterrupted run ends with."""
    whole, part, again = (shop.classifier("gpt2", dropout=0.2) for _ in range(3))
    shop.fit(whole, shop.objective(whole), f"whole-{parallel}", parallel)
    steps: list[int] = []
    stopped = None
    try:
        shop.fit(
            part,
            shop.objective(part),
            f"part-{parallel}",
            parallel,
            on_progress=lambda progress: steps.append(progress.step),
            should_stop=lambda: shop.processes.rank == 1 and len(steps) == 3,
        )
    except Interrupted as error:
        stopped = error.step
    fitted = shop.fit(again, shop.objective(again), f"part-{parallel}", parallel, resume=True)
    return {
        "stopped": stopped,
        "whole": _digest(weights(whole)),
        "resumed": _digest(weights(again)),
        "steps": fitted.step,
        "notes": shop.notes,
    }


def moved_on(shop: Workshop) -> dict[str, Any]:
    """A run of two processes with a part each, gone on with by one process, and by two with a copy each."""
    seen: list[int] = []
    model = shop.classifier("gpt2")
    options: dict[str, Any] = {
        "on_progress": lambda progress: seen.append(progress.step),
        "should_stop": lambda: len(seen) == 3,
    }
    for place in ("on-one", "on-copies"):
        seen.clear()
        with suppress(Interrupted):
            shop.fit(shop.classifier("gpt2"), shop.objective(model), place, "fsdp", **options)
    whole, copies = shop.classifier("gpt2"), shop.classifier("gpt2")
    rank = shop.processes.rank
    shop.fit(whole, shop.objective(whole), f"on-whole-{rank}", None, ALONE)
    shop.fit(copies, shop.objective(copies), "on-copies", "ddp", resume=True)
    found = {"copies": float((weights(whole) - weights(copies)).abs().max())}
    if rank == 0:
        one = shop.classifier("gpt2")
        shop.fit(one, shop.objective(one), "on-one", None, ALONE, resume=True)
        found["one"] = float((weights(whole) - weights(one)).abs().max())
    shop.processes.texts("")
    return {**found, "notes": shop.notes}


def out_of_memory(shop: Workshop, most_tokens: int) -> dict[str, Any]:
    """Memory that runs out in the second process only."""
    one, two = shop.classifier("gpt2"), shop.classifier("gpt2")
    objective = shop.objective(two)
    if shop.processes.rank == 1:
        objective.most_tokens = most_tokens
    shop.fit(one, shop.objective(one), f"memory-{most_tokens}-alone-{shop.processes.rank}", None, ALONE)
    whole = replace(SETTINGS, micro_batch_tokens=10_000)
    told = _refused(lambda: shop.fit(two, objective, f"memory-{most_tokens}", "ddp", settings=whole))
    return {"weights": float((weights(one) - weights(two)).abs().max()), "notes": shop.notes, **told}


def bad_loss(shop: Workshop, parallel: Parallel) -> dict[str, Any]:
    """A row whose loss is infinite."""
    classifier = shop.classifier("gpt2")
    objective = shop.objective(classifier)
    objective.bad_row = 7
    where: Any = "a.csv:{}".format
    told = _refused(lambda: shop.fit(classifier, objective, f"bad-{parallel}", parallel, where=where))
    place = shop.directory / f"bad-{parallel}"
    return {**told, "saved": sorted(path.name for path in place.glob("step-*"))}


def disk(shop: Workshop) -> dict[str, Any]:
    """A place where the main process cannot save."""
    classifier = shop.classifier("gpt2")
    place = shop.directory / "disk"
    if shop.processes.is_main:
        place.write_text("in the way")
    shop.processes.texts("")
    return _refused(lambda: shop.fit(classifier, shop.objective(classifier), "disk", "ddp"))


def _refused(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        work()
    except UserError as error:
        problems = [(problem.code, problem.what, problem.where) for problem in error.problems]
        return {"refused": type(error).__name__, "problems": problems, "agreed": error.agreed}
    return {"refused": None}


def dropout(shop: Workshop) -> dict[str, Any]:
    """The seeds that dropout is drawn from."""
    classifier = shop.classifier("gpt2", dropout=0.2)
    objective = shop.objective(classifier)
    shop.fit(classifier, objective, "dropout", "fsdp")
    return {"seeds": objective.seeds}


def judged(shop: Workshop) -> dict[str, Any]:
    """The logits of all texts, computed by all, and by one."""
    classifier = shop.classifier("gpt2")
    encoded = shop.objective(classifier).encoded
    pad = classifier.tokenizer.pad_token_id
    mine, ours = (logits_of(classifier.model, encoded, 2, pad, 30, who) for who in (ALONE, shop.processes))
    return {"equal": bool((mine == ours).all()), "rows": len(ours)}


def stopped_early(shop: Workshop) -> dict[str, Any]:
    """Processes that score differently: what the main one finds is what counts."""
    scores = iter([1.0, 0.5, 0.4, 0.3] if shop.processes.is_main else [1.0, 2.0, 3.0, 4.0])
    classifier = shop.classifier("gpt2")
    settings = replace(SETTINGS, early_stopping=1, evaluations_per_epoch=4)
    fitted = shop.fit(
        classifier,
        shop.objective(classifier),
        "early",
        "ddp",
        settings=settings,
        evaluate=lambda _: {"score": next(scores)},
    )
    return {"step": fitted.step, "best": fitted.best_step, "early": fitted.stopped_early}


def settled(shop: Workshop) -> dict[str, Any]:
    """What the processes tell each other outside of training."""
    processes = shop.processes

    def fail_in(rank: int) -> None:
        if processes.rank == rank:
            raise DataError([Problem("few", "x", "y", "z"), Problem("empty", "x", "y", "z", count=3)])

    tensors = [torch.full((3,), float(processes.rank + 1)), torch.ones((2, 2))]
    processes.add_up(tensors)
    return {
        "texts": processes.texts("ü" * (processes.rank + 1)),
        "nothing": processes.texts(""),
        "numbers": processes.gather([processes.rank, 7]).tolist(),
        "sums": [tensor.tolist() for tensor in tensors],
        "sent": processes.send(torch.tensor([float(processes.rank)])).tolist(),
        "turns": list(processes.turns("abc")),
        "together": processes.together(lambda: processes.rank),
        "from_main": processes.from_main(lambda: {"rank": processes.rank}),
        "failed": _refused(lambda: processes.together(lambda: fail_in(1))),
        "main_failed": _refused(lambda: processes.from_main(lambda: fail_in(0))),
    }


SCENARIOS: dict[str, Callable[[Workshop], dict[str, Any]]] = {
    **{
        f"same {architecture} {parallel}": partial(same, architecture=architecture, parallel=parallel)
        for parallel, architectures in ALIKE.items()
        for architecture in architectures
    },
    **{
        f"adapters {parallel}": partial(methods, parallel=parallel, method="lora", lora_dropout=0)
        for parallel in ("ddp", "fsdp")
    },
    **{f"written {parallel}": partial(written, parallel=parallel) for parallel in ("ddp", "fsdp")},
    "preferred": preferred,
    "computed twice": partial(methods, parallel="fsdp", method="full", gradient_checkpointing=True),
    **{f"resumed {parallel}": partial(resumed, parallel=parallel) for parallel in ("ddp", "fsdp")},
    "moved on": moved_on,
    "out of memory": partial(out_of_memory, most_tokens=50),
    "out of all memory": partial(out_of_memory, most_tokens=1),
    **{f"bad loss {parallel}": partial(bad_loss, parallel=parallel) for parallel in ("ddp", "fsdp")},
    "disk": disk,
    "dropout": dropout,
    "judged": judged,
    "stopped early": stopped_early,
    "settled": settled,
}


def main(directory: Path) -> None:
    """Play all scenarios; the main process writes what every process saw of each."""
    processes = join()
    processes.from_main(lambda: [str(save_tiny_base(directory / name, name)) for name in ALIKE["fsdp"]])
    found: dict[str, list[Any]] = {}
    for name, scenario in SCENARIOS.items():
        seen = scenario(Workshop(directory, processes))
        found[name] = [json.loads(text) for text in processes.texts(json.dumps(seen))]
    if processes.is_main:
        (directory / "seen.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
