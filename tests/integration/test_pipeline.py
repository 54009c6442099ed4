from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import tunesmith as ts
from tests.listeners import Heard
from tests.models import POLITICS, SPORTS
from tunesmith.checking import check_file, mend_file
from tunesmith.files import sha256_file
from tunesmith.pipeline import find_bundle
from tunesmith.training.loop import Interrupted

Row = dict[str, Any]


AS_FOR_MANY: dict[str, Any] = {
    "learning_rate": 1e-3,
    "target_replication": 0.0,
    "token_dropout": 0.0,
    "validation_fraction": 0.1,
}


def _rows(count: int = 60, names: Sequence[str] = ("politics", "sports")) -> list[Row]:
    texts = (POLITICS, SPORTS)
    return [{"text": f"{texts[i % 2][i // 2 % 3]} {i // 6}", "label": names[i % 2]} for i in range(count)]


def _save(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def recipe(tiny_base: Path) -> ts.Recipe:
    return ts.Recipe(base=str(tiny_base), epochs=2, **AS_FOR_MANY)


@pytest.fixture(scope="module")
def run(news: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> ts.Run:
    out = tmp_path_factory.mktemp("run") / "news"
    return ts.train(news, recipe=ts.Recipe(base=str(tiny_base), epochs=2, **AS_FOR_MANY), out=out)


def _weights(run: ts.Run) -> str:
    return sha256_file(run.model_path / "model.safetensors")


def test_a_run_says_what_it_is(run: ts.Run, news: Path) -> None:
    assert run.task.labels == ("politics", "sports")
    assert None not in (run.recipe.learning_rate, run.recipe.batch_tokens, run.recipe.class_weights)
    assert run.report.rows == 10
    assert run.data_report.rows == 60
    assert run.data_report.token_lengths is not None
    assert ts.load(run.directory).labels == ts.load(run.model_path).labels == run.task.labels
    bundle = find_bundle(run.directory)
    assert (bundle.task, bundle.recipe) == (run.task, run.recipe)
    assert ts.Report.from_dict(bundle.read("report.json")) == run.report
    assert str(news.parent) not in json.dumps(run.report.provenance), "reports get published"


def test_a_listener_hears_every_stage(news: Path, recipe: ts.Recipe, tmp_path: Path) -> None:
    ear = Heard()
    ts.train(news, recipe=recipe, out=tmp_path / "run", listener=ear)
    assert ear.stages == ["read", "check", "tokenise", "train", "evaluate", "write"]
    assert any("labels: politics, sports" in note for note in ear.notes)
    assert any("seed 0" in note for note in ear.notes)
    assert [step.step for step in ear.progress] == list(range(1, ear.progress[0].total_steps + 1))
    assert sum(step.validation is not None for step in ear.progress) == 2


def test_few_examples_are_learned_otherwise_and_said(news: Path, tiny_base: Path, tmp_path: Path) -> None:
    recipe, ear = ts.Recipe(base=str(tiny_base), epochs=2), Heard()
    run = ts.train(news, recipe=recipe, out=tmp_path / "run", listener=ear)
    few = "as there are only 25 examples a label"
    assert f"token_dropout: 0.3, {few}" in ear.notes
    assert f"validation_fraction: 0.0, {few}" in ear.notes
    assert run.recipe.target_replication == 1.0
    assert "no row is kept for validation" in run.report.provenance["split"]
    assert not any("validation_loss" in row for row in run.report.curves)
    assert "25 examples" in json.loads((run.directory / "run.json").read_text())["reasons"]["token_dropout"]


def test_a_validation_file_is_used_however_few_examples_there_are(
    news: Path, tiny_base: Path, tmp_path: Path
) -> None:
    rows = news.read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "train.jsonl").write_text("".join(rows[:40]), encoding="utf-8")
    (tmp_path / "validation.jsonl").write_text("".join(rows[40:]), encoding="utf-8")
    ear = Heard()
    run = ts.train(
        tmp_path / "train.jsonl",
        validation=tmp_path / "validation.jsonl",
        recipe=ts.Recipe(base=str(tiny_base), epochs=2),
        out=tmp_path / "run",
        listener=ear,
    )
    assert run.recipe.token_dropout == 0.3
    assert run.recipe.validation_fraction == 0.1
    assert sum("validation_loss" in row for row in run.report.curves) == 2
    assert not [note for note in ear.notes if note.startswith("validation_fraction")]


def test_an_architecture_that_cannot_be_packed_is_padded_and_said(
    news: Path, recipe: ts.Recipe, tiny_base: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_base, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"scale_attn_by_inverse_layer_idx": True}))
    padded, packed = Heard(), Heard()
    base = recipe.model_copy(update={"base": str(other)})
    run = ts.train(news, recipe=base, out=tmp_path / "padded", listener=padded)
    assert run.report.to_dict()["metrics"]["accuracy"] > 0.5
    ts.train(news, recipe=recipe, out=tmp_path / "packed", listener=packed)
    assert any("texts are padded" in note for note in padded.notes)
    assert not any("texts are padded" in note for note in packed.notes)


def test_the_seed_decides_all(run: ts.Run, news: Path, recipe: ts.Recipe, tmp_path: Path) -> None:
    same = ts.train(news, recipe=recipe, out=tmp_path / "same")
    other = ts.train(news, recipe=recipe.model_copy(update={"seed": 1}), out=tmp_path / "other")
    assert _weights(same) == _weights(run)
    assert same.report.metrics == run.report.metrics
    assert _weights(other) != _weights(run)


def test_the_saved_model_is_the_judged_one(
    run: ts.Run, news: Path, recipe: ts.Recipe, tmp_path: Path
) -> None:
    test = _save(tmp_path / "test.jsonl", _rows(40))
    judged = ts.train(news, test=test, recipe=recipe, out=tmp_path / "run")
    again = ts.evaluate(judged.directory, test)
    assert again.metrics == pytest.approx(judged.report.metrics)
    assert again.confusion == judged.report.confusion
    assert ts.evaluate(judged.model_path, test, train_data=news).rivals[0].name == "majority"


@pytest.mark.parametrize("stop_after", [1, 4, 6])
def test_stopped_and_resumed(
    run: ts.Run, news: Path, recipe: ts.Recipe, tmp_path: Path, stop_after: int
) -> None:
    ear, out = Heard(), tmp_path / "run"
    with pytest.raises(Interrupted, match=f"after step {stop_after} of {run.recipe.epochs and 6}"):
        ts.train(
            news, recipe=recipe, out=out, listener=ear, should_stop=lambda: len(ear.progress) == stop_after
        )
    with pytest.raises(ts.UserError, match="exists"):
        ts.train(news, recipe=recipe, out=out)
    assert _weights(ts.train(news, recipe=recipe, out=out, resume=True)) == _weights(run)
    with pytest.raises(ts.UserError, match="the run is finished"):
        ts.train(news, recipe=recipe, out=out, resume=True)


def test_another_run_is_not_taken_for_the_one_that_was_stopped(recipe: ts.Recipe, tmp_path: Path) -> None:
    data, out = _save(tmp_path / "a.jsonl", _rows(60)), tmp_path / "run"
    test = _save(tmp_path / "b.jsonl", _rows(12))
    with pytest.raises(Interrupted):
        ts.train(data, recipe=recipe, out=out, should_stop=lambda: True)
    other = recipe.model_copy(update={"seed": 1, "weight_decay": 0.5})
    told = _differing(lambda: ts.train(data, test=test, recipe=other, out=out, resume=True))
    assert told >= {"recipe.seed", "recipe.weight_decay", "sources.test", "sha256.test"}
    assert "sources.train" not in told
    _save(data, [*_rows(59), {"text": "another text", "label": "sports"}])
    told = _differing(lambda: ts.train(data, recipe=recipe, out=out, resume=True))
    assert {"sha256.train", "sha256.validation", "sha256.test"} & told
    assert "recipe.seed" not in told
    _save(data, _rows(60))
    hasty = recipe.model_copy(update={"rival_seconds": 0.0})
    left_out = ts.train(data, recipe=hasty, out=out, resume=True).report.not_run
    assert {rival.name for rival in left_out} == {"n-grams", "probe", "zero-shot", "few-shot"}


def _differing(call: Callable[[], object]) -> set[str]:
    with pytest.raises(ts.UserError) as caught:
        call()
    assert {problem.code for problem in caught.value.problems} == {"resume-changed"}
    return {problem.what.split("`")[1] for problem in caught.value.problems}


def test_task_and_recipe_are_objects_or_files(
    news: Path, recipe: ts.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "task.yaml").write_text("labels: [sports, politics]\n")
    (tmp_path / "recipe.yaml").write_text(f"base: {recipe.base}\nepochs: 1\n")
    monkeypatch.chdir(tmp_path)
    run = ts.train(news, task="task.yaml", recipe=Path("recipe.yaml"))
    assert run.directory == Path("runs/news")
    assert run.load().labels == ("sports", "politics"), "the order of the task is kept"
    assert run.recipe.epochs == 1


def test_a_directory_without_a_name_of_its_own_is_no_trap(
    recipe: ts.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, row in enumerate(_rows(30)):
        place = tmp_path / ".texts" / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(row["text"])
    monkeypatch.chdir(tmp_path / ".texts")
    assert ts.train(".", recipe=recipe).directory == Path("runs/texts")


def test_given_sets_are_used_and_leaks_left_out(recipe: ts.Recipe, tmp_path: Path) -> None:
    train = _save(tmp_path / "a.jsonl", _rows(60))
    test = _save(tmp_path / "b.jsonl", _rows(12))
    validation = _save(tmp_path / "c.jsonl", [row | {"text": f"so {row['text']}"} for row in _rows(12)])
    run = ts.train(train, test=test, validation=validation, recipe=recipe, out=tmp_path / "run")
    assert run.report.rows == 12
    assert run.data_report.leaks == 12
    assert "12 rows of train left out" in run.report.provenance["split"]


@pytest.mark.parametrize(
    ("names", "labels"),
    [((1, 0), ("0", "1")), ((True, False), ("false", "true")), (("10", "9"), ("9", "10"))],
)
def test_labels_of_any_make(recipe: ts.Recipe, tmp_path: Path, names: Any, labels: tuple[str, ...]) -> None:
    run = ts.train(_save(tmp_path / "a.jsonl", _rows(60, names)), recipe=recipe, out=tmp_path / "run")
    assert run.load().labels == run.report.labels == labels


@pytest.mark.parametrize("weights", ["none", "auto"])
def test_class_weights(recipe: ts.Recipe, tmp_path: Path, weights: str) -> None:
    rows = [row for i, row in enumerate(_rows(120)) if i % 2 or i % 10 == 0]
    asked = recipe.model_copy(update={"class_weights": weights})
    run = ts.train(_save(tmp_path / "a.jsonl", rows), recipe=asked, out=tmp_path / "run")
    assert run.recipe.class_weights == weights


def test_texts_longer_than_the_window_are_cut_and_said(recipe: ts.Recipe, tmp_path: Path) -> None:
    rows = [row | {"text": f"{row['text']} and so on" * 20} for row in _rows(60)]
    run = ts.train(_save(tmp_path / "a.jsonl", rows), recipe=recipe, out=tmp_path / "run")
    assert "truncated" in {problem.code for problem in run.data_report.problems}
    assert run.load().predict([rows[0]["text"]])[0].truncated


def test_a_test_of_one_class_is_judged(run: ts.Run, tmp_path: Path) -> None:
    report = ts.evaluate(run.directory, _save(tmp_path / "a.jsonl", _rows(40)[::2]))
    assert report.rows == 20
    assert [score.rows for score in report.per_label] == [20, 0]
    assert ts.evaluate(run.directory, _save(tmp_path / "b.jsonl", _rows(40)[:1] * 3)).rows == 3


def test_a_test_with_columns_of_other_names(run: ts.Run, tmp_path: Path) -> None:
    rows = [{"id": i, "body": row["text"], "category": row["label"]} for i, row in enumerate(_rows(30))]
    assert ts.evaluate(run.directory, _save(tmp_path / "a.jsonl", rows)).rows == 30


def test_the_columns_of_the_task_are_found_among_others(recipe: ts.Recipe, tmp_path: Path) -> None:
    rows = [
        {"title": row["text"], "body": f"some longer text that says nothing of it {i}", "topic": row["label"],
         "label": f"printed on paper {i % 3}"}
        for i, row in enumerate(_rows(60))
    ]  # fmt: skip
    data = _save(tmp_path / "a.jsonl", rows)
    run = ts.train(data, text_column="title", label_column="topic", recipe=recipe, out=tmp_path / "run")
    assert run.task.text_column == "title"
    assert ts.evaluate(run.directory, data).labels == ("politics", "sports")
    scored = tmp_path / "b.jsonl"
    ts.score_file(run.directory, data, scored)
    titles = ts.load(run.directory).predict([row["title"] for row in rows])
    answers = [json.loads(line)["predicted_label"] for line in scored.read_text("utf-8").splitlines()]
    assert answers == [prediction.target for prediction in titles]


def _fails(call: Callable[[], object]) -> list[str]:
    with pytest.raises(ts.UserError) as caught:
        call()
    return [problem.code for problem in caught.value.problems]


def test_faults_are_told_before_anything_is_written(run: ts.Run, recipe: ts.Recipe, tmp_path: Path) -> None:
    data, out = _save(tmp_path / "a.jsonl", _rows(60)), tmp_path / "run"
    unknown = _save(tmp_path / "b.jsonl", _rows(60, ("politics", "weather")))
    nothing = recipe.model_copy(update={"base": "./absent"})
    assert _fails(lambda: ts.train(tmp_path / "c.jsonl", recipe=recipe, out=out)) == ["no-file"]
    assert _fails(lambda: ts.train(data, recipe=nothing, out=out)) == ["no-base"]
    assert _fails(lambda: ts.train(data, test=unknown, recipe=recipe, out=out)) == ["unknown-label"]
    assert _fails(lambda: ts.train(data, recipe=recipe, out=data)) == ["exists"]
    assert _fails(lambda: ts.train(data, recipe=recipe, out=out, resume=True)) == ["nothing-to-resume"]
    assert _fails(lambda: ts.evaluate(run.directory, unknown)) == ["unknown-label"]
    assert _fails(lambda: ts.evaluate(tmp_path, data)) == ["no-bundle"]
    assert _fails(lambda: ts.load(tmp_path / "absent")) == ["no-bundle"]
    assert _fails(lambda: ts.train(data, recipe=tmp_path / "r.yaml", out=out)) == ["no-file"]
    assert not out.exists()


def test_a_learning_rate_that_explodes_is_told(news: Path, recipe: ts.Recipe, tmp_path: Path) -> None:
    wild = recipe.model_copy(update={"learning_rate": 1e30, "max_gradient_norm": 1e30, "epochs": 9})
    assert _fails(lambda: ts.train(news, recipe=wild, out=tmp_path / "run")) == ["bad-loss"]


def test_data_is_checked_and_mended(tiny_base: Path, tmp_path: Path) -> None:
    rows = [*_rows(60), {"text": "", "label": "sports"}, {"text": "no label", "label": None}, _rows(1)[0]]
    data, mended = _save(tmp_path / "a.jsonl", rows), tmp_path / "b.csv.gz"
    with data.open("ab") as stream:
        stream.write(b'{"text": "caf\xe9", "label": "sports"}\n{"text": \n')
    dataset, report, _ = check_file(data, base=str(tiny_base), lenient=True)
    assert len(dataset) == 64
    assert {"empty-text", "missing-label", "duplicates"} <= {problem.code for problem in report.problems}
    assert len(mend_file(data, mended)) == 7
    assert _fails(lambda: mend_file(data, mended)) == ["exists"]
    dataset, report, _ = check_file(
        mended, base=str(tiny_base), held_out={"test": data.with_name("b.csv.gz")}
    )
    assert report.ok
    assert len(dataset) == report.leaks == 61


def test_prediction_of_odd_texts(run: ts.Run) -> None:
    model = run.load()
    assert model.predict([]) == []
    texts = ["", " ", "\0", "\ud800", "\U0001f600" * 99, "a\x1b[31m", "\r\n"]
    answers = model.predict(texts)
    assert len(answers) == len(texts)
    assert all(sum(answer.scores.values()) == pytest.approx(1) for answer in answers)
    for answer, alone in zip(answers, model.stream(iter(texts), chunk_texts=1), strict=True):
        assert alone.scores == pytest.approx(answer.scores, abs=1e-6)
    assert model.predict(["a\ud800b"])[0].scores == model.predict(["a\ufffdb"])[0].scores


def test_answers_are_calibrated_on_the_validation_rows(tiny_base: Path, tmp_path: Path) -> None:
    rows = _save(tmp_path / "rows.jsonl", _rows(200))
    held_out = [{"text": row["text"] + " again", "label": row["label"]} for row in _rows(80)]
    # every third label is wrong: who is always certain is often wrong
    for row in held_out[::3]:
        row["label"] = "sports" if row["label"] == "politics" else "politics"
    validation = _save(tmp_path / "validation.jsonl", held_out)
    test = _save(
        tmp_path / "test.jsonl",
        [{**row, "text": f"again {row['text']} and once more today"} for row in held_out],
    )
    recipe = ts.Recipe(base=str(tiny_base), epochs=6, **{**AS_FOR_MANY, "learning_rate": 5e-3})
    sure, few = (
        ts.train(rows, validation=held, test=test, recipe=recipe, out=tmp_path / name)
        for name, held in (("sure", validation), ("few", _save(tmp_path / "few.jsonl", held_out[:40])))
    )
    texts = [row["text"] for row in held_out]
    calibrated, plain = (
        [prediction.score for prediction in run.load().predict(texts)] for run in (sure, few)
    )
    # two in three answers are right
    assert max(plain) > max(calibrated) == pytest.approx(2 / 3, abs=0.05)
    assert sure.report.metrics["log_loss"] < few.report.metrics["log_loss"]
    assert sure.report.provenance["temperature"].endswith("fitted on 80 validation rows")
    assert "temperature" not in few.report.provenance
