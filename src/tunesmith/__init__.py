"""tunesmith: your text in, your own GPT in production out, with proof that it works."""

__version__ = "0.1.0"
