"""A studio that listens, a worker that walks its jobs through their states, and models that answer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from tests.listening import listening
from tests.waiting import until
from tunesmith.api.settings import Settings
from tunesmith.studio.app import create_studio
from tunesmith.studio.blobs import LocalBlobs
from tunesmith.studio.config import StudioConfig
from tunesmith.studio.ids import model_name, new_id
from tunesmith.studio.store import Store
from tunesmith.studio.store.queue import Claim
from tunesmith.studio.types import Checkpoint, File, Model
from tunesmith.studio.work.results import classification_results

__all__ = ["SLY", "STEPS", "Stage", "staged"]

SLY = "<b>sly</b>"
STEPS = 12
_CHAT = "/v1/chat/completions"


@dataclass
class Stage:
    """Where it listens, and what its worker does."""

    url: str
    store: Store
    blobs: LocalBlobs

    def claim(self) -> Claim:
        """Validate the job that waits, and take it to be trained."""
        claim = self.store.queue.claim_to_validate("a worker")
        assert claim is not None
        with self.store.queue.held(claim.lease) as held:
            held.tell("Files validated, moving job to queued state")
            held.release("queued")
        claim = self.store.queue.claim_to_train("a worker")
        assert claim is not None
        return claim

    def step(self, claim: Claim, first: int, last: int) -> None:
        """Tell of some steps."""
        with self.store.queue.held(claim.lease) as held:
            for step in range(first, last + 1):
                data: dict[str, Any] = {"step": step, "total_steps": STEPS, "train_loss": 2 / step}
                if step % 4 == 0:
                    data["valid_loss"] = 2.2 / step
                held.tell(f"Step {step}/{STEPS}: training loss={2 / step:.2f}", data=data, metrics=True)
            held.progress(last, estimated_finish=int(held.now) + 90)

    def heed(self, claim: Claim) -> None:
        """Stop as the caller asks."""
        until(lambda: self.store.queue.renew(claim.lease) != "run", "what the caller asks")
        wanted = self.store.queue.renew(claim.lease)
        assert wanted in ("pause", "cancel")
        with self.store.queue.held(claim.lease) as held:
            held.tell(f"Fine-tuning job heard: {wanted}")
            held.release("paused" if wanted == "pause" else "cancelled")

    def fail(self, claim: Claim, message: str) -> None:
        """End the job badly."""
        error = {"code": "invalid_training_file", "message": message, "param": "training_file"}
        with self.store.queue.held(claim.lease) as held:
            held.tell(message, level="error")
            held.release("failed", error=error)

    def finish(self, claim: Claim, report: dict[str, Any]) -> str:
        """End the job well, with all that a classifier leaves; the name of its model."""
        job, now = claim.job, int(self.store.now())
        name = model_name("embedded", job.project, job.suffix, job.id)
        kept = self._kept(job.project, json.dumps(classification_results(report)).encode(), now)
        metrics = {"step": float(STEPS), "train_loss": 0.17, "valid_loss": 0.18}
        with self.store.queue.held(claim.lease) as held:
            held.add(kept)
            held.add(Model(name, job.project, now, job.id, "embedded", "classifier", f"models/{job.id}"))
            held.add(Checkpoint(new_id("checkpoint"), job.id, now, STEPS, name, metrics))
            held.tell(f"New fine-tuned model created: {name}")
            held.release("succeeded", fine_tuned_model=name, result_files=(kept.id,), trained_tokens=1234)
        return name

    def _kept(self, project: str, content: bytes, now: int) -> File:
        file_id, digest = new_id("file"), hashlib.sha256(content).hexdigest()
        with self.blobs.writing(f"files/{file_id}") as stream:
            stream.write(content)
        about = ("classification_results.json", "fine-tune-results", len(content), digest)
        return File(file_id, project, now, *about, f"files/{file_id}")  # type: ignore[arg-type]


@contextmanager
def staged(directory: Path, **settings: Any) -> Iterator[Stage]:
    """A studio in `directory`."""
    config = StudioConfig.model_validate({"free_bytes": 0})
    blobs = LocalBlobs(directory / "blobs")
    with closing(Store(f"sqlite:///{directory}/studio.db")) as store:
        app = create_studio(store, blobs, config, Settings(**settings))
        # before the studio's own, where it has one
        app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != _CHAT]
        app.add_api_route(_CHAT, _answer, methods=["POST"])
        with listening(app) as url:
            yield Stage(url, store, blobs)


async def _answer(request: Request) -> StreamingResponse:
    asked = await request.json()
    message = asked["messages"][-1]["content"]
    pieces = [{"content": piece} for piece in ("You said ", message, ".")]
    told = [_choice(piece) for piece in pieces] + [_choice({}, finish_reason="length")]
    if asked.get("logprobs"):
        likely = [_token(SLY, 0.75), _token("travel", 0.25)]
        told = [_choice({"content": SLY}, logprobs={"content": [{**likely[0], "top_logprobs": likely}]})]
    return StreamingResponse(_frames(told), media_type="text/event-stream")


async def _frames(choices: list[dict[str, Any]]) -> Any:
    for choice in choices:
        yield f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"


def _choice(delta: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **more}


def _token(label: str, score: float) -> dict[str, Any]:
    return {"token": label, "bytes": list(label.encode()), "logprob": math.log(score)}
