"""Loads what a worker loads for its first job; see `Studio.process`."""

from __future__ import annotations

from importlib import import_module

import transformers

for name in ("torch", "accelerate", "sacrebleu.metrics", "sklearn.linear_model", "tests.studio"):
    import_module(name)
for name in (
    "api.runner",
    "labels",
    "model.cross_entropy",
    "pipeline",
    "studio.app",
    "studio.store",
    "writing",
):
    import_module(f"tunesmith.{name}")
for name in ("GPT2ForSequenceClassification", "GPT2LMHeadModel", "PreTrainedTokenizerFast"):
    getattr(transformers, name)
