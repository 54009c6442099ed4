"""How the tests of training train where nothing else matters."""

from __future__ import annotations

from tunesmith.training.loop import LoopSettings

SETTINGS = LoopSettings(
    learning_rate=0.01,
    schedule="linear",
    warmup_fraction=0.1,
    micro_batch_tokens=200,
    weight_decay=0.01,
    max_gradient_norm=1.0,
    precision="fp32",
    seed=1,
    early_stopping=0,
)
