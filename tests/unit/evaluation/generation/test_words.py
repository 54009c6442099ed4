"""Words and what two texts share: rouge-score's on ASCII, sensible on every script."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.evaluation.generation.words import longest_common, rouge_l, tokens, word_f1, words

_FEW = st.lists(st.sampled_from("abcd"), max_size=80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's mat_2, isn't it?", ["the", "cat", "s", "mat", "2", "isn", "t", "it"]),
        ("Über-Größe, naïve", ["über", "größe", "naïve"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("日本語です。GPT-4", ["日", "本", "語", "で", "す", "gpt", "4"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        (" \n\t", []),
        ("!?… 🙂", []),
    ],
)
def test_words_of_every_script(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_tokens_give_the_text_back(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_tokens_keep_case_and_part_marks() -> None:
    assert tokens("It's  OK.\n日本") == ["It", "'", "s", "  ", "OK", ".", "\n", "日", "本"]


def _plain_longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for mine in one:
        above = row
        row = [0]
        for index, theirs in enumerate(other):
            row.append(above[index] + 1 if mine == theirs else max(above[index + 1], row[-1]))
    return row[-1]


@given(_FEW, _FEW)
def test_the_longest_common_subsequence_is_the_textbooks(one: list[str], other: list[str]) -> None:
    assert longest_common(one, other) == _plain_longest_common(one, other)


def test_rouge_l_by_hand() -> None:
    # in common, but only one half of it in the same order
    assert rouge_l("police killed the gunman", "the gunman police killed") == pytest.approx(2 / 4)
    assert rouge_l("police killed the gunman", "police kill the gunman") == pytest.approx(3 / 4)
    # precision 2/3, recall 2/5
    assert rouge_l("a b c d e", "a x c") == pytest.approx(2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5))


def test_word_f1_by_hand() -> None:
    assert word_f1("police killed the gunman", "the gunman police killed") == 1
    # "a" counts twice in the reference and once in the answer: 2 in common of 3 and 4
    assert word_f1("a a b", "a b c d") == pytest.approx(2 * 2 / (3 + 4))


@pytest.fixture(scope="module")
def theirs() -> Callable[[str, str], float]:
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is not installed")
    made = scorer.RougeScorer(["rougeL"])
    return lambda reference, answer: float(made.score(reference, answer)["rougeL"].fmeasure)


_ASCII = st.text(st.characters(max_codepoint=127))
_SENTENCES = st.lists(st.sampled_from(["the", "cat", "sat", "on", "mat.", "Mat", "a-b"])).map(" ".join)


@settings(deadline=None)
@given(st.one_of(st.tuples(_ASCII, _ASCII), st.tuples(_SENTENCES, _SENTENCES)))
def test_rouge_l_is_that_of_rouge_score(theirs: Callable[[str, str], float], pair: tuple[str, str]) -> None:
    if words(pair[0]) and words(pair[1]):  # without words, they score equal texts 0
        assert rouge_l(*pair) == pytest.approx(theirs(*pair))


@given(st.text())
def test_equal_texts_share_everything_and_nothing_shares_nothing(text: str) -> None:
    assert rouge_l(text, text) == 1
    assert word_f1(text, text) == 1
    if text.strip():
        assert rouge_l(text, "") == word_f1("", text) == 0
