"""A fine-tuned GPT as an estimator of scikit-learn: `from tunesmith.sklearn import GPTClassifier`."""

from __future__ import annotations

from tunesmith.sklearn.classifier import GPTClassifier

__all__ = ["GPTClassifier"]
