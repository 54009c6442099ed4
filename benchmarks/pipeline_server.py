"""What most people deploy: transformers' pipeline behind a plain route of FastAPI.

python -m benchmarks.pipeline_server MODEL_DIRECTORY PORT
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

__all__ = ["main"]


class Body(BaseModel):
    """As tunesmith's own request."""

    input: str


def main(directory: str, port: int) -> None:
    """Serve until killed."""
    classify: Any = pipeline("text-classification", model=directory, device="cpu")
    app = FastAPI()

    @app.post("/v1/classify")
    def answer(body: Body) -> dict[str, Any]:
        (found,) = classify([body.input], truncation=True)
        return {"label": found["label"], "score": found["score"]}

    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
