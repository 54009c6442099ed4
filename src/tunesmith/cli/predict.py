"""`tunesmith predict`: texts, standard input or a file -> labels, or what the model writes."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.boundary import error_console, verb
from tunesmith.cli.options import (
    AsJson,
    EngineName,
    EngineOption,
    MinConfidence,
    ModelPath,
    Overwrite,
    Resume,
    TextColumn,
)
from tunesmith.cli.scoring import Place, predict_file

if TYPE_CHECKING:
    from tunesmith.predict import Prediction, Predictor
    from tunesmith.writer import Writer

__all__ = ["command"]

_NO_LABEL = "(no label)"
_CHUNK_PROMPTS = 256


@verb("predict")
def command(
    model: ModelPath,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; none and no --file: one a line from standard input.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A table of texts, of any size.", show_default=False, readable=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Where the table goes, with the answers.", show_default=False, readable=False
        ),
    ] = None,
    text_column: TextColumn = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="Show so many labels of each text, likeliest first.", show_default="those it gives"
        ),
    ] = None,
    choices: Annotated[
        str | None,
        typer.Option(
            help="Of a model that writes: the only answers it may give, parted by commas.", show_default=False
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Of a model that writes: an answer ends here.", show_default="as trained"),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(min=0, max=2, help="Of a model that writes: 0 is without chance, 1 as it has learned."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides the answers of a temperature over 0.")] = 0,
    min_confidence: MinConfidence = 0.0,
    engine: EngineOption = EngineName.TORCH,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also show what each word did for the answer."),
    ] = False,
    resume: Resume = False,
    on: Annotated[
        Place,
        typer.Option("--on", help="Where a table is scored: in this process, or on a Ray cluster."),
    ] = Place.HERE,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", help="The Ray cluster to score on.", show_default="one on this machine"
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Classify texts, or answer prompts, in order and in constant memory.

    Example: [bold]tunesmith predict runs/news "The striker scored twice." --top 3[/]

    Example: [bold]tunesmith predict runs/news --file big.csv --out scored.csv[/]
    """
    if file or out:
        if texts or explain or not (file and out):
            what = "a table needs both --file and --out, and no texts and no --explain beside them"
            raise typer.BadParameter(what)
        how = {"text_column": text_column, "min_confidence": min_confidence, "engine": engine.value}
        where = {"on": on.value, "ray_address": ray_address}
        predict_file(model, file, out, resume=resume, overwrite=overwrite, **how, **where)
        return
    if resume or on is not Place.HERE or ray_address:
        raise typer.BadParameter("--resume, --on and --ray-address are for tables: name --file and --out")
    from tunesmith.asked import refuse_for_writing
    from tunesmith.opening import open_predictor
    from tunesmith.pipeline import find_bundle

    bundle, asked = find_bundle(model), texts if texts else _lines()
    if explain:
        refuse_for_writing(bundle.task, bundle.path, "explanations")
    if not bundle.task.writes:
        _refuse_for_labels(choices, max_new_tokens, temperature)
        predictor = open_predictor(model, engine.value, bundle=bundle).predictor.abstaining(min_confidence)
        _predict_texts(predictor, asked, top, as_json, explain)
    elif choices is None:
        how = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed}
        _write_texts(bundle.writer(), asked, how, as_json)
    else:
        _choose_texts(bundle.writer(), asked, _names(choices), top, as_json)


def _refuse_for_labels(choices: str | None, max_new_tokens: int | None, temperature: float) -> None:
    if choices is not None or max_new_tokens is not None or temperature:
        raise typer.BadParameter("--choices, --max-new-tokens and --temperature are for models that write")


def _names(choices: str) -> list[str]:
    names = [name.strip() for name in choices.split(",")]
    if not all(names) or len(set(names)) < max(2, len(names)):
        raise typer.BadParameter("--choices takes two or more different answers, such as --choices yes,no")
    return names


def _lines() -> Iterator[str]:
    if sys.stdin.isatty():
        error_console.print("[dim]one text a line; Ctrl-D ends[/]")
    # bytes that are no UTF-8 become U+FFFD, as they do in files
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace"):
        if line.strip():
            yield line.rstrip("\n")


def _predict_texts(
    model: Predictor, texts: Iterable[str], top: int | None, as_json: bool, explain: bool
) -> None:
    """A person at a terminal is answered line by line; a pipe is read in chunks."""
    if explain:
        _explain_texts(model, texts, top, as_json)
        return
    answers = model.stream(texts, chunk_texts=1 if sys.stdin.isatty() else None)
    for prediction in answers:
        _say(_as_json(prediction, top) if as_json else _as_line(prediction, top))


def _explain_texts(model: Predictor, texts: Iterable[str], top: int | None, as_json: bool) -> None:
    from tunesmith.cli.explained import as_values, show_explanation

    for text in texts:
        prediction = model.predict([text])[0]
        (explanation,) = model.explain([text], next(iter(prediction.top()))[0])
        if as_json:
            _say(_as_json(prediction, top, {"explanation": as_values(explanation)}))
        else:
            _say(_as_line(prediction, top))
            show_explanation(explanation)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _write_texts(writer: Writer, prompts: Iterable[str], how: dict[str, Any], as_json: bool) -> None:
    for written in writer.stream(prompts, chunk_prompts=1 if sys.stdin.isatty() else None, **how):
        _say(json.dumps(asdict(written), ensure_ascii=False) if as_json else written.text)


def _choose_texts(
    writer: Writer, prompts: Iterable[str], names: list[str], top: int | None, as_json: bool
) -> None:
    from tunesmith.predict import Prediction, in_chunks

    for chunk in in_chunks(prompts, 1 if sys.stdin.isatty() else _CHUNK_PROMPTS):
        for row in writer.choose(chunk, names).tolist():
            scores = dict(zip(names, row, strict=True))
            prediction = Prediction(max(names, key=scores.__getitem__), scores)
            _say(_as_json(prediction, top) if as_json else _as_line(prediction, top))


def _as_line(prediction: Prediction, top: int | None) -> str:
    cut = "\t(text cut to what the model reads)" if prediction.truncated else ""
    shown = "\t".join(f"{label}\t{score:.4f}" for label, score in _shown(prediction, top))
    return (shown or _NO_LABEL) + cut


def _as_json(prediction: Prediction, top: int | None, more: Mapping[str, object] | None = None) -> str:
    scores = [{"label": label, "score": score} for label, score in _shown(prediction, top)]
    match prediction.target:
        case str(label):
            target: dict[str, object] = {"label": None if prediction.abstained else label}
        case labels:
            target = {"labels": list(labels)}
    told = {**target, "scores": scores, "truncated": prediction.truncated, **(more or {})}
    return json.dumps(told, ensure_ascii=False)


def _shown(prediction: Prediction, top: int | None) -> list[tuple[str, float]]:
    if top is not None:
        return prediction.top(top)
    return [(label, prediction.scores[label]) for label in prediction.labels]
