"""Which rows of a dataset share a text and a label: the numbers that check, mend and split work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tunesmith.data.chat import before_last_answer, messages_in
from tunesmith.data.dataset import Dataset
from tunesmith.data.texts import EMPTY_KEY, Keys, same_text_keys, text_batches

__all__ = ["Facts", "Rows", "facts_of", "prompts_of"]

Rows = npt.NDArray[np.int64]  # row numbers from 0, ascending


@dataclass(frozen=True, slots=True)
class Facts:
    """Arrays over the rows of `dataset`."""

    dataset: Dataset
    keys: Keys
    """The same_text_key of each text; of what is written that of its prompt, or of itself without one."""
    codes: npt.NDArray[np.int32]
    """A number for each row, equal where the targets are equal, -1 where there is none."""
    labels: tuple[str, ...]
    """The distinct labels, in order of first appearance."""
    bearers: Rows
    """(pairs,) the row of every label that a row bears"""
    borne: npt.NDArray[np.int32]
    """(pairs,) that label, as an index into `labels`"""

    @property
    def empty(self) -> Rows:
        """Rows without a text."""
        return np.flatnonzero(self.keys == EMPTY_KEY)

    @property
    def unlabelled(self) -> Rows:
        """Rows without a label, or with nothing written."""
        return np.flatnonzero(self.codes < 0)

    @property
    def repeated(self) -> Rows:
        """Rows whose text, and of what is written whose target too, stands in an earlier row."""
        again = self.keys != EMPTY_KEY
        again[self._firsts()] = False
        return np.flatnonzero(again)

    def _firsts(self) -> Rows:
        if not self.dataset.task.writes:
            return np.unique(self.keys, return_index=True)[1]
        pairs = np.stack([self.keys, self.codes.astype(np.uint64)], axis=1)
        return np.unique(pairs, axis=0, return_index=True)[1]

    @property
    def contradictory(self) -> Rows:
        """Rows with a target whose text also stands under another target."""
        told = (self.codes >= 0) & (self.keys != EMPTY_KEY)
        keys, codes = self.keys[told], self.codes[told]
        order = np.lexsort((codes, keys))
        keys, codes = keys[order], codes[order]
        parted = (keys[1:] == keys[:-1]) & (codes[1:] != codes[:-1])
        return np.flatnonzero(told & np.isin(self.keys, keys[1:][parted]))

    @property
    def counts(self) -> dict[str, int]:
        """label -> rows."""
        counts = np.bincount(self.borne, minlength=len(self.labels))
        return dict(zip(self.labels, counts.tolist(), strict=True))

    def rows_of(self, label: str) -> Rows:
        """Rows with this label."""
        rows: Rows = self.bearers[self.borne == self.labels.index(label)]
        return rows

    def where(self, row: int | np.int64) -> str:
        """file:line of a row."""
        return self.dataset.where(int(row))

    def take(self, rows: Rows) -> Facts:
        """The same facts about some of the rows."""
        place = np.full(len(self.keys), -1)
        place[rows] = np.arange(rows.size)
        bearers = place[self.bearers]
        kept = bearers >= 0
        taken = self.dataset.take(rows.tolist())
        return Facts(taken, self.keys[rows], self.codes[rows], self.labels, bearers[kept], self.borne[kept])


def facts_of(dataset: Dataset) -> Facts:
    """Hash the texts and number the targets of a dataset."""
    if dataset.task.writes:
        return _of_writing(dataset)
    targets = dataset.table.column("target").combine_chunks()
    of_targets = _several if dataset.task.kind == "multi_label" else _single
    return Facts(dataset, same_text_keys(dataset.table.column("text")), *of_targets(targets))


def _of_writing(dataset: Dataset) -> Facts:
    targets = pc.utf8_trim_whitespace(dataset.table.column("target"))
    targets = pc.if_else(pc.equal(targets, ""), None, targets).combine_chunks()
    codes, *_ = _single(targets)
    prompts = same_text_keys(prompts_of(dataset))
    alone = prompts == EMPTY_KEY
    # what answers no prompt is told apart by itself
    keys = np.where(alone, same_text_keys(pa.chunked_array([targets])), prompts) if alone.any() else prompts
    return Facts(dataset, keys, codes, (), np.zeros(0, np.int64), np.zeros(0, np.int32))


def prompts_of(dataset: Dataset) -> pa.ChunkedArray:
    """The prompt of each row of what is written; of a chat all that is said before the last answer."""
    texts = dataset.table.column("text")
    if dataset.task.kind != "chat":
        return texts
    batches = ([_asked(text) for text in batch] for batch in text_batches(texts))
    return pa.chunked_array([pa.array(batch, pa.large_string()) for batch in batches], pa.large_string())


def _asked(text: str) -> str:
    said = before_last_answer(messages_in(text))
    if not any(message["content"].strip() for message in said):
        return ""
    return "\n".join(f"<{message['role']}> {message['content']}" for message in said)


_OfTargets = tuple[npt.NDArray[np.int32], tuple[str, ...], Rows, npt.NDArray[np.int32]]


def _single(targets: pa.Array) -> _OfTargets:
    coded = targets.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    bearers = np.flatnonzero(codes >= 0)
    return codes, tuple(coded.dictionary.to_pylist()), bearers, codes[bearers]


def _several(targets: pa.Array) -> _OfTargets:
    codes_of_labels: dict[str, int] = {}
    codes_of_sets: dict[frozenset[str], int] = {}
    codes, bearers, borne = [], [], []
    for row, labels in enumerate(targets.to_pylist()):
        if labels is None:
            codes.append(-1)
            continue
        codes.append(codes_of_sets.setdefault(frozenset(labels), len(codes_of_sets)))
        for label in labels:
            bearers.append(row)
            borne.append(codes_of_labels.setdefault(label, len(codes_of_labels)))
    return (
        np.asarray(codes, np.int32),
        tuple(codes_of_labels),
        np.asarray(bearers, np.int64),
        np.asarray(borne, np.int32),
    )
