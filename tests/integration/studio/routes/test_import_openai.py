"""`tunesmith import-openai`, against a studio that listens and beside one that trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import tunesmith as ts
from tests.integration.studio.routes.conftest import Live, MakeStudio
from tests.studio import Studio, talks
from tunesmith.cli.main import app
from tunesmith.files import sha256_file


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "export.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in talks(12)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def guarded(make_studio: MakeStudio) -> Live:
    """A studio that asks for a key."""
    return make_studio(projects=("news",))


def ran(export: Path, *words: str, key: str = "") -> Result:
    asked = ["import-openai", "--file", str(export), *words]
    return CliRunner().invoke(app, asked, env={"TUNESMITH_STUDIO_KEY": key or None})


def test_nothing_is_sent_until_it_is_told_to_start(export: Path, guarded: Live) -> None:
    words, key = (
        ("--studio", guarded.url, "--validation", str(export), "--suffix", "mine"),
        guarded.keys["news"],
    )
    dry = ran(export, *words, key=key)
    assert (dry.exit_code, guarded.kept()) == (0, [])
    assert "nothing was sent" in dry.output
    started = ran(export, *words, "--start", "--json", key=key)
    assert started.exit_code == 0, started.output
    told: dict[str, Any] = json.loads(started.stdout)
    with guarded.client("news") as client:
        job = client.fine_tuning.jobs.retrieve(told["job"])
        assert (job.model, job.status) == ("embedded", "validating_files")
        assert job.validation_file is not None
        for file_id in (job.training_file, job.validation_file):
            assert client.files.content(file_id).read() == export.read_bytes()
    kept = guarded.store.jobs.find("news", job.id)
    assert kept is not None
    assert (kept.suffix, kept.method["supervised"]) == ("mine", told["supervised"])
    assert told["supervised"]["hyperparameters"]["n_epochs"] == 8


def test_a_studio_that_refuses_or_is_away_is_one_clear_error(export: Path, guarded: Live) -> None:
    faults = {
        guarded.url: "error[studio-refused]: the studio refuses (HTTP 401)",
        "http://127.0.0.1:9": "error[studio-away]: no studio answers",
        "file:///etc/passwd": "error[studio-away]: this is no address of a studio",
    }
    for url, said in faults.items():
        refused = ran(export, "--studio", url, "--start")
        assert refused.exit_code == 1
        assert said in refused.output
        assert "Traceback" not in refused.output
    unknown = ran(export, "--studio", guarded.url, "--model", "gpt-9", "--start", key=guarded.keys["news"])
    assert "names no base of this studio" in unknown.output


def test_training_on_its_own_gives_the_weights_of_the_studio(
    export: Path, studio: Studio, small_base: Path, tmp_path: Path
) -> None:
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text("".join(json.dumps(line) + "\n" for line in talks(15)[12:]), encoding="utf-8")
    words = ("--validation", str(held_out), "--out", str(tmp_path / "recipe"))
    written = ran(export, "--model", str(small_base), *words)
    assert written.exit_code == 0, written.output
    task, recipe = (tmp_path / "recipe" / f"{name}.yaml" for name in ("task", "recipe"))
    run = ts.train(export, test=held_out, task=task, recipe=recipe, out=tmp_path / "run")
    files = [studio.file_of(path.read_bytes()) for path in (export, held_out)]
    job = studio.job(files[0], validation_file=files[1], seed=0, method={"type": "supervised"})
    done = studio.trained(job)
    assert done.error is None
    weights = [sha256_file(path / "model.safetensors") for path in (run.model_path, studio.model_path(done))]
    assert weights[0] == weights[1]
    again = ran(export, "--out", str(tmp_path / "recipe"))
    assert "error[exists]" in again.output
