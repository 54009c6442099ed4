"""A job from its files to its model, in this process."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

import tunesmith as ts
from tests.studio import Studio, classes, pairs, rows_of, talks
from tunesmith.bundle import open_bundle
from tunesmith.files import sha256_file
from tunesmith.studio.types import Job
from tunesmith.studio.work.validating import validate_claim


def test_a_job_that_writes_ends_with_a_model_and_its_curve(studio: Studio) -> None:
    job = studio.job(studio.file(talks(12)), validation_file=studio.file(talks(15)[12:]), suffix="mine")
    done = studio.trained(job)
    assert (done.status, done.error) == ("succeeded", None)
    assert done.fine_tuned_model == f"ft:tiny:default:mine:{job.id[6:14]}"
    assert done.form == "writer"
    assert ts.load_writer(studio.model_path(done)).write(["the coach 3"])
    rows = rows_of(studio.bytes_of(done.result_files[0]))
    assert rows[0] == ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"]
    assert [row[0] for row in rows[1:]] == [str(step) for step in range(1, 13)]
    assert all(row[1] and not row[2] for row in rows[1:])
    assert [bool(row[3] and row[4]) for row in rows[1:]] == [step in (6, 12) for step in range(1, 13)]
    told = studio.messages(job)
    assert told[2].startswith("12 examples to train on; 3 to judge the model by")
    assert told[3:5] == ["Files validated, moving job to queued state", "Fine-tuning job started"]
    assert told[5].startswith("Step 1/12: training loss=")
    assert told[-3].startswith("On 3 validation rows: ")
    assert told[-2:] == [
        f"New fine-tuned model created: {done.fine_tuned_model}",
        "The job has successfully completed",
    ]
    _has_a_model_of_each_epoch(studio, done)
    assert done.trained_tokens == 2 * _tokens(studio, done)
    assert not list((studio.directory / "work").iterdir())


def _has_a_model_of_each_epoch(studio: Studio, done: Job) -> None:
    last, first = studio.store.jobs.checkpoints(done.id, after=None, limit=10).data
    assert (last.step_number, last.model) == (12, done.fine_tuned_model)
    assert last.metrics["full_valid_loss"] == last.metrics["valid_loss"]
    assert (first.step_number, first.model) == (6, f"{done.fine_tuned_model}:ckpt-step-6")
    assert first.metrics["valid_loss"] > last.metrics["valid_loss"]
    earlier = replace(done, fine_tuned_model=first.model)
    weights = {sha256_file(studio.model_path(each) / "model.safetensors") for each in (done, earlier)}
    assert len(weights) == 2
    assert ts.load_writer(studio.model_path(earlier)).write(["the coach 3"])
    verdict = json.loads((studio.model_path(earlier) / "report.json").read_text())["verdict"]
    assert verdict["headline"] == "Nothing was measured"
    assert "only the weights that the run ended with were judged" in verdict["sentences"][0]


def _tokens(studio: Studio, job: object) -> int:
    """The tokens of the training file, as the base reads them."""
    report = json.loads((studio.model_path(job) / "data_report.json").read_text())  # type: ignore[arg-type]
    tokens: int = round(report["token_lengths"]["mean"] * report["rows"])
    return tokens


def test_few_answers_make_a_classifier_that_is_judged_as_one(studio: Studio) -> None:
    job = studio.job(studio.file(classes(24)), validation_file=studio.file(classes(34)[24:]))
    done = studio.trained(job)
    assert (done.status, done.form, done.error) == ("succeeded", "classifier", None)
    assert ts.load(studio.model_path(done)).labels == ("politics", "sports")
    results = json.loads(studio.bytes_of(done.result_files[1]))
    assert results["rows"] == 10
    assert {"accuracy", "macro_f1"} <= results["metrics"].keys() & results["intervals"].keys()
    assert sum(map(sum, results["confusion"])) == 10
    assert [rival["name"] for rival in results["rivals"]]
    assert "the striker" not in json.dumps(results)
    assert "the model will be a classifier" in "".join(studio.messages(job))


def test_without_a_validation_file_all_is_trained_on_and_nothing_measured(studio: Studio) -> None:
    done = studio.trained(studio.job(studio.file(classes(12))))
    assert (done.status, len(done.result_files)) == ("succeeded", 1)
    report = json.loads((studio.model_path(done) / "report.json").read_text())
    assert report["verdict"]["headline"] == "Nothing was measured"
    assert json.loads((studio.model_path(done) / "data_report.json").read_text())["rows"] == 12


def test_prompts_and_their_completions_are_learned(studio: Studio) -> None:
    lines = [{"prompt": f"the coach {at} ->", "completion": f" fans sang {at}"} for at in range(10)]
    done = studio.trained(studio.job(studio.file(lines), hyperparameters={"n_epochs": 1}))
    assert (done.status, done.form, done.error) == ("succeeded", "writer", None)


def test_preferences_are_learned(studio: Studio) -> None:
    numbers = {"n_epochs": 2, "batch_size": 2, "learning_rate_multiplier": 2.0, "beta": 0.5}
    method = {"type": "dpo", "dpo": {"hyperparameters": numbers}}
    training, validation = studio.file(pairs(12)), studio.file(pairs(16)[12:])
    job = studio.job(training, validation_file=validation, method=method)
    done = studio.trained(job)
    assert (done.status, done.form, done.error) == ("succeeded", "writer", None)
    assert done.method == method
    recipe = open_bundle(studio.model_path(done)).recipe
    assert (recipe.beta, recipe.epochs, recipe.batch_examples) == (0.5, 2, 2)
    assert ts.load_writer(studio.model_path(done)).write(["give me coal 3"])
    rows = rows_of(studio.bytes_of(done.result_files[0]))[1:]
    assert float(rows[-1][1]) < float(rows[0][1])
    measured = [(float(row[3]), float(row[4])) for row in rows if row[3]]
    assert len(measured) == 2
    assert measured[-1][0] < measured[0][0]
    assert measured[-1][1] == 1.0
    (judged,) = (event for event in studio.store.jobs.events_since(job.id, 0)[0] if "On 4 " in event.message)
    assert judged.data is not None
    assert judged.data["reward_accuracy"] == 1.0
    found = studio.store.jobs.checkpoints(job.id, after=None, limit=10).data
    assert found[0].model == done.fine_tuned_model
    assert len(found) == 2


def test_a_bad_line_of_preferences_is_told(studio: Studio) -> None:
    bad = [*pairs(10), *talks(1), pairs(1)[0] | {"preferred_output": []}]
    failed = studio.validated(studio.job(studio.file(bad), method={"type": "dpo"}))
    assert failed.error is not None
    assert "Line 11: the line is no example: it has no `input`" in failed.error["message"]
    assert "Line 12: " in failed.error["message"]


def test_a_model_is_tuned_further(studio: Studio) -> None:
    first = studio.trained(studio.job(studio.file(talks(10)), hyperparameters={"n_epochs": 1}))
    again = studio.job(studio.file(talks(10)), model=first.fine_tuned_model, hyperparameters={"n_epochs": 1})
    done = studio.trained(again)
    assert done.error is None
    assert done.fine_tuned_model == f"ft:tiny:default::{again.id[6:14]}"


def test_bad_files_fail_the_job_with_every_line(studio: Studio) -> None:
    bad = [*talks(10), *([{"messages": []}] * 30)]
    job = studio.job(studio.file(bad), validation_file=studio.file_of(b"nonsense\n"))
    failed = studio.validated(job)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error["code"], failed.error["param"]) == ("invalid_training_file", "training_file")
    message = failed.error["message"]
    assert "Line 11: the list of messages is empty [bad-messages]" in message
    assert "and 25 more faults" in message
    assert "invalid validation file. Line 1: the line is not JSON" in message
    lines = [json.loads(line) for line in studio.bytes_of(failed.result_files[0]).splitlines()]
    assert [fault["line"] for fault in lines] == list(range(11, 41))
    told = studio.messages(job)
    assert "training_file: 30 faults in 30 lines" in told
    assert sum(message.startswith("training_file: Line") for message in told) == 20


def test_a_job_that_is_cancelled_while_it_is_validated_is_let_be(studio: Studio) -> None:
    job = studio.job(studio.file(talks(600)))
    claim = studio.store.queue.claim_to_validate("tests")
    assert claim is not None
    studio.store.jobs.ask("default", job.id, "cancel")
    ending = threading.Event()
    ending.set()  # what it hears at its next look, as it hears that the job is another's
    validate_claim(studio.place, claim, ending)
    assert studio.found(job).status == "cancelled"


def test_few_examples_are_refused_in_the_words_of_the_api(studio: Studio) -> None:
    failed = studio.validated(studio.job(studio.file(talks(9))))
    assert failed.error is not None
    assert failed.error["code"] == "invalid_training_file"
    assert "Training file has 9 example(s), but must have at least 10 examples" in failed.error["message"]


def test_auto_becomes_numbers_once_the_file_is_read(studio: Studio) -> None:
    job = studio.job(studio.file(talks(20)), method={"type": "supervised"})
    numbers = {"n_epochs": 5, "batch_size": 1, "learning_rate_multiplier": 1.0}
    assert studio.validated(job).method == {"type": "supervised", "supervised": {"hyperparameters": numbers}}


@pytest.mark.parametrize("values", [{"model": "unknown"}, {"method": {"type": "dpo"}}])
def test_what_cannot_be_trained_fails_and_the_next_job_is_trained(studio: Studio, values: object) -> None:
    bad = studio.job(studio.file(talks(10)), **values)  # type: ignore[arg-type]
    good = studio.job(studio.file(talks(10)), hyperparameters={"n_epochs": 1})
    assert studio.trained(good).status == "succeeded"
    failed = studio.found(bad)
    assert failed.status == "failed"
    assert failed.error is not None
    assert str(studio.directory) not in failed.error["message"]


def test_a_fault_of_our_own_fails_its_job_alone_and_is_logged_without_a_text(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = studio.validated(studio.job(studio.file(talks(10))))

    def fault(*_: object, **_named: object) -> None:
        raise ZeroDivisionError("fans sang")

    monkeypatch.setattr("tunesmith.studio.work.training.train", fault)
    failed = studio.trained(job)
    assert failed.error is not None
    assert failed.error["code"] == "server_error"
    assert "ZeroDivisionError" in caplog.text
    assert "fans sang" not in caplog.text + str(failed.error)
