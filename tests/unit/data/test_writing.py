"""What is to be written: which columns it stands in, what is wrong with it, and how it is parted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.data.conftest import Refused, Save
from tunesmith.config import parse_values
from tunesmith.data.chat import as_row_text, messages_in
from tunesmith.data.check import check
from tunesmith.data.conversation import messages_of_cell
from tunesmith.data.dataset import Dataset, dataset_of
from tunesmith.data.mend import mend
from tunesmith.data.read import read
from tunesmith.data.split import split
from tunesmith.data.write import write_dataset
from tunesmith.errors import ConfigError, Problem
from tunesmith.task import Task

COMPLETION = Task(kind="completion", text_column="prompt", target_column="completion")
CHAT = Task(kind="chat", text_column="messages")
USER = {"role": "user", "content": "a"}


def sentence(number: int) -> str:
    return f"a sentence that is rather long, with the number {number} in it"


def said(*pairs: tuple[str | float, ...]) -> list[dict[str, Any]]:
    return [dict(zip(("role", "content", "weight"), pair, strict=False)) for pair in pairs]


def lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def chats(*conversations: list[dict[str, Any]]) -> Dataset:
    answers = [[m["content"] for m in each if m["role"] == "assistant"] for each in conversations]
    targets = [each[-1] if each else None for each in answers]
    return dataset_of(CHAT, [as_row_text(each) for each in conversations], targets)


def problems(dataset: Dataset) -> dict[str, Problem]:
    return {problem.code: problem for problem in check(dataset).problems}


PAIRS = [{"prompt": f"question {n}", "completion": sentence(n)} for n in range(20)]
CHATS = [{"messages": said(("user", f"q {n}"), ("assistant", sentence(n)))} for n in range(20)]


# kinds and columns


@pytest.mark.parametrize(
    ("names", "text", "target"),
    [
        (("prompt", "completion"), "prompt", "completion"),
        (("Instruction", "Response"), "Instruction", "Response"),
        (("question", "answer"), "question", "answer"),
        (("source", "target"), "source", "target"),
        (("document", "summary"), "document", "summary"),
        (("article", "highlights"), "article", "highlights"),
        (("zzz", "summary"), "zzz", "summary"),
    ],
)
def test_free_text_under_such_names_is_to_be_written(
    save: Save, names: tuple[str, str], text: str, target: str
) -> None:
    rows = [dict(zip(names, row.values(), strict=True)) for row in PAIRS]
    dataset = read(save("a.jsonl", lines(rows)))
    task = dataset.task
    assert (task.kind, task.text_column, task.target_column, task.labels) == ("completion", text, target, ())
    assert dataset[3].text == "question 3"
    assert dataset[3].target == sentence(3)
    assert any(f'"{target}"' in note for note in dataset.notes)
    assert dataset.targets[0] == sentence(0)
    assert dataset.label_counts == {}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet", ".jsonl.gz"])
def test_every_format_gives_completions(save: Save, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".json":
        save("a.json", json.dumps(PAIRS))
    else:
        prompts, completions = zip(*(row.values() for row in PAIRS), strict=True)
        write_dataset(path, dataset_of(COMPLETION, prompts, completions))
    dataset = read(path)
    assert dataset.task.kind == "completion"
    assert [(each.text, each.target) for each in dataset] == [tuple(row.values()) for row in PAIRS]


def test_short_completions_that_all_differ_are_no_labels(save: Save) -> None:
    rows = [{"prompt": f"double {n}", "completion": str(2 * n)} for n in range(20)]
    assert read(save("a.jsonl", lines(rows))).task.kind == "completion"
    assert read(save("b.jsonl", lines(rows[:19]))).task.kind == "single_label"


def test_completions_keep_their_white_space(save: Save) -> None:
    rows = [
        {"prompt": f"def f{n}(x):\n", "completion": f"    return x + {n}  # {sentence(n)}\n"}
        for n in range(9)
    ]
    assert read(save("a.jsonl", lines(rows))).targets[1] == f"    return x + 1  # {sentence(1)}\n"


@pytest.mark.parametrize(
    "rows",
    [
        [{"prompt": f"p {n}", "completion": "yes" if n % 2 else "no"} for n in range(20)],
        [{"question": f"p {n}", "answer": sentence(n), "category": "ab"[n % 2]} for n in range(20)],
        [{"text": f"p {n}", "label": "ab"[n % 2], "output": sentence(n)} for n in range(20)],
        [{"messages": said(("user", f"{n}"), ("assistant", "ab"[n % 2]))} for n in range(20)],
        [{"messages": said(("user", f"{n}"), ("assistant", f"intent {n % 60}"))} for n in range(300)],
    ],
)
def test_labels_stay_labels(save: Save, rows: list[dict[str, object]]) -> None:
    dataset = read(save("a.jsonl", lines(rows)))
    assert dataset.task.kind == "single_label"
    assert len(dataset.task.labels) in (2, 60)


def test_what_could_be_written_too_is_told(save: Save) -> None:
    rows = [{"question": f"p {n}", "answer": sentence(n), "category": "ab"[n % 2]} for n in range(20)]
    notes = read(save("a.jsonl", lines(rows))).notes
    assert any('"answer": --kind completion' in note for note in notes)
    labels = [{"messages": said(("user", f"{n}"), ("assistant", "ab"[n % 2]))} for n in range(20)]
    assert any("--kind chat" in note for note in read(save("b.jsonl", lines(labels))).notes)


def test_free_text_under_other_names_is_refused_with_a_hint(save: Save, refused: Refused) -> None:
    rows = [{"text": f"t {n}", "label": sentence(n)} for n in range(99)]
    told = refused(lambda: read(save("a.jsonl", lines(rows))))
    assert told.code == "too-many-labels"
    assert "--kind completion" in told.fix


def test_a_named_target_decides(save: Save) -> None:
    rows = [{"body": f"t {n}", "summary": sentence(n), "topic": "ab"[n % 2]} for n in range(20)]
    path = save("a.jsonl", lines(rows))
    assert read(path).task.kind == "single_label"
    written = read(path, text_column="body", label_column="summary")
    assert (written.task.kind, written.task.text_column) == ("completion", "body")


@pytest.mark.parametrize(
    ("columns", "text", "target"),
    [
        ({"prompt": "short", "completion": "yes"}, "prompt", "completion"),
        ({"english": "a house", "german": "ein Haus, größer"}, "english", "german"),
        ({"id": "7", "english": "a house", "german": "ein Haus, größer"}, "english", "german"),
        ({"note": "ab", "body": "rather long a text", "summary": "cd"}, "body", "summary"),
        ({"note": "ab", "body": "rather long a text", "prompt": "cd"}, "prompt", "body"),
        ({"text": "rather long a text", "label": "b"}, "text", "label"),
        ({"label": "b", "review": "rather long a text"}, "review", "label"),
    ],
)
def test_a_kind_that_is_given_takes_the_best_columns(
    save: Save, columns: dict[str, str], text: str, target: str
) -> None:
    path = save("a.jsonl", lines([columns] * 4))
    task = read(path, kind="completion").task
    assert (task.kind, task.text_column, task.target_column) == ("completion", text, target)
    assert read(path, Task(kind="completion")).task == task
    assert read(path, task).task == task


def test_a_kind_needs_its_columns(save: Save, refused: Refused) -> None:
    path = save("a.jsonl", lines([{"text": "a long one", "n": 1}] * 3))
    assert refused(lambda: read(path, kind="completion")).code == "no-column"
    assert refused(lambda: read(path, kind="chat")).code == "no-column"
    assert refused(lambda: read(path, kind="chat", text_column="chats")).code == "no-column"
    assert refused(lambda: read(path, kind="completion", label_column="x")).code == "no-column"
    same = refused(lambda: read(path, kind="completion", text_column="text", label_column="text"))
    assert same.code == "same-column"


@pytest.mark.parametrize(("below", "answer"), [("input", "output"), ("context", "response")])
def test_an_instruction_has_its_input_below(save: Save, below: str, answer: str) -> None:
    rows = [
        {"instruction": "Sum up", below: "" if n % 2 else f"text {n}", answer: sentence(n)} for n in range(9)
    ]
    dataset = read(save("a.jsonl", lines(rows)))
    assert dataset.task.text_column == "instruction"
    assert dataset.texts[:2] == ["Sum up\n\ntext 0", "Sum up"]
    assert any(f'"{below}" below' in note for note in dataset.notes)


def test_cells_that_are_no_text_are_told(save: Save) -> None:
    rows = [*PAIRS, {"prompt": ["a"], "completion": "b"}, {"prompt": 7, "completion": None}]
    dataset = read(save("a.jsonl", lines(rows)))
    assert len(dataset) == 21
    assert dataset[20].text == "7"
    assert [problem.code for problem in dataset.problems] == ["bad-cell"]


@pytest.mark.parametrize("name", ["messages", "conversations"])
def test_conversations_are_read(save: Save, name: str) -> None:
    rows = [{name: row["messages"], "id": 1} for row in CHATS]
    dataset = read(save("a.jsonl", lines(rows)))
    assert dataset.task.kind == "chat"
    assert (dataset.task.text_column, dataset.task.target_column) == (name, None)
    assert messages_in(dataset[2].text) == rows[2][name]
    assert dataset[2].target == sentence(2)
    assert check(dataset).ok


def test_conversations_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    cells = [
        said(("system", "Be brief."), ("user", f"q {n}"), ("assistant", sentence(n), n % 2)) for n in range(9)
    ]
    pq.write_table(pa.table({"messages": cells}), path)
    dataset = read(path)
    assert dataset.task.kind == "chat"
    assert messages_in(dataset[1].text) == said(
        ("system", "Be brief."), ("user", "q 1"), ("assistant", sentence(1))
    )
    assert messages_in(dataset[0].text)[2] == {"role": "assistant", "content": sentence(0), "weight": 0}


def test_conversations_elsewhere_are_found_where_the_kind_is_given(save: Save) -> None:
    rows = [{"id": n, "turns": CHATS[n]["messages"]} for n in range(5)]
    assert read(save("a.jsonl", lines(rows)), kind="chat").task.text_column == "turns"


@pytest.mark.parametrize(
    ("cell", "messages"),
    [
        (said(("user", "a"), ("assistant", "b")), said(("user", "a"), ("assistant", "b"))),
        (json.dumps(said(("user", "é"))), said(("user", "é"))),
        ([{**USER, "name": "Ann", "id": 3}], [{**USER, "name": "Ann"}]),
        (said(("assistant", "a", 1)), said(("assistant", "a"))),
        (said(("assistant", "b", 0.0)), said(("assistant", "b", 0))),
        (said(("user", "a", 0)), said(("user", "a"))),
        ([{**USER, "content": [{"type": "text", "text": text} for text in "ab"]}], said(("user", "a\nb"))),
        ([{"role": "user", "content": "\ud800"}], said(("user", "\ufffd"))),
        ([{**USER, "tool_calls": None, "name": None}], [USER]),
    ],
)
def test_messages_get_one_form(cell: object, messages: list[dict[str, object]]) -> None:
    assert messages_of_cell(cell) == (messages, [])


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        (None, ["bad-messages"]),
        ("hello", ["bad-messages"]),
        ("[oops", ["bad-messages"]),
        (7, ["bad-messages"]),
        ({"role": "user", "content": "a"}, ["bad-messages"]),
        ([], ["bad-messages"]),
        (["a", 3], ["bad-messages", "bad-messages"]),
        (said(("bot", "a")), ["unknown-role"]),
        ([{"content": "a"}], ["unknown-role"]),
        (said(("User", "a")), ["unknown-role"]),
        ([{"role": ["user"], "content": "a"}], ["unknown-role"]),
        ([{"role": "user", "content": None}], ["bad-content"]),
        ([{"role": "user"}], ["bad-content"]),
        ([{"role": "user", "content": 7}], ["bad-content"]),
        ([{"role": "user", "content": []}], ["bad-content"]),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}], ["bad-content"]),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}, "b"]}], ["bad-content"]),
        (said(("assistant", "a", 2)), ["bad-weight"]),
        ([{"role": "assistant", "content": "a", "weight": True}], ["bad-weight"]),
        ([{"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]}], ["tool-calls"]),
        ([{"role": "assistant", "content": "a", "function_call": {"name": "x"}}], ["tool-calls"]),
        ([*said(("bot", "a", 3)), {**USER, "content": 1}], ["unknown-role", "bad-weight", "bad-content"]),
    ],
)
def test_what_is_no_conversation(cell: object, codes: list[str]) -> None:
    messages, faults = messages_of_cell(cell)
    assert messages == []
    assert [fault.code for fault in faults] == codes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "weight", "name", "type", "text", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_any_cell_is_messages_or_faults(cell: object) -> None:
    messages, faults = messages_of_cell(cell)
    assert bool(messages) != bool(faults)
    assert messages_of_cell(messages) == (messages, []) or faults
    assert messages_in(as_row_text(messages)) == messages


def test_every_fault_of_a_file_is_told_with_its_line(save: Save) -> None:
    rows = [
        *CHATS[:2],
        {"messages": [3]},
        {"messages": said(("bot", "a", 7))},
        {"messages": said(("bot", "a"))},
    ]
    path = save("a.jsonl", lines([*rows, {"messages": CHATS[4]["messages"], "tools": [{"a": 1}]}]))
    dataset = read(path, kind="chat")
    told = {problem.code: problem for problem in dataset.problems}
    assert told["bad-messages"].where == f"{path}:3"
    assert told["unknown-role"].where == f"{path}:4 (and 1 more row)"
    assert told["bad-weight"].where == f"{path}:4"
    assert told["tools-left-out"].severity == "warning"
    assert len(dataset) == 3
    lenient = read(path, kind="chat", lenient=True)
    assert all(problem.severity == "warning" for problem in lenient.problems)


def test_a_file_without_one_conversation_is_refused(save: Save, refused: Refused) -> None:
    path = save("a.jsonl", lines([{"messages": [1]}] * 3))
    assert refused(lambda: read(path, kind="chat")).code == "bad-messages"


# tasks


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "completion", "labels": ["a", "b"]},
        {"kind": "chat", "labels": ["a", "b"]},
        {"kind": "completion", "separator": ";"},
        {"kind": "completion", "target_column": None},
        {"kind": "single_label", "instruction": "x"},
        {"instruction": "x"},
        {"kind": "chat", "instruction": ""},
    ],
)
def test_tasks_that_make_no_sense(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_values(values, Task, "task.yaml")


def test_a_chat_has_no_target_column() -> None:
    assert parse_values({"kind": "chat"}, Task, "task.yaml").target_column is None


# checks


def test_what_is_wrong_with_pairs() -> None:
    texts = ["p", "q", "", "q", "Q ", "r", None]
    targets = ["a", "b", "c", "d", "b", " ", None]
    told = problems(dataset_of(COMPLETION, texts, targets))
    assert told["empty-completion"].where == 'memory:6, column "completion" (and 1 more row)'
    assert told["empty-completion"].severity == "error"
    assert (told["empty-prompt"].severity, told["empty-prompt"].count) == ("warning", 2)
    assert (told["several-completions"].severity, told["several-completions"].count) == ("info", 3)
    assert (told["duplicates"].severity, told["duplicates"].where) == ("warning", 'memory:5, column "prompt"')
    assert told["few-examples"].severity == "warning"
    assert set(told) == {
        *("empty-completion", "empty-prompt", "several-completions", "duplicates", "few-examples")
    }


def test_one_prompt_for_all_is_refused() -> None:
    told = problems(dataset_of(COMPLETION, ["p"] * 12, [str(n) for n in range(12)]))
    assert told["all-duplicates"].severity == "error"


def test_texts_may_be_learned_without_any_prompt() -> None:
    dataset = dataset_of(COMPLETION, [None] * 30, [sentence(n // 2) for n in range(30)])
    report = check(dataset)
    assert report.ok
    assert report.duplicates == 15
    splits = split(dataset, seed=0, validation_fraction=0.1, test_fraction=0.2)
    assert (len(splits.validation), len(splits.test)) == (4, 6)
    assert not set(splits.train.targets) & {*splits.test.targets, *splits.validation.targets}


def test_what_is_wrong_with_conversations() -> None:
    dataset = chats(
        said(("user", "a"), ("assistant", "b")),
        said(("user", "a")),
        said(("user", "b"), ("assistant", "b"), ("user", "c")),
        said(("user", "c"), ("assistant", "b", 0)),
        said(("user", "d"), ("assistant", " ")),
        said(("user", "e"), ("assistant", "", 0), ("user", "f"), ("assistant", "g")),
        said(("system", "s"), ("developer", "t"), ("user", "x"), ("assistant", "b")),
        said(("user", "g"), ("system", "s"), ("assistant", "b")),
        said(("assistant", "hello")),
        said(("user", "A "), ("assistant", "b")),
        said(("user", "a"), ("assistant", "c")),
    )
    told = problems(dataset)
    places = {code: (problem.where, problem.count, problem.severity) for code, problem in told.items()}
    column = 'column "messages"'
    assert places == {
        "no-answer": (f"memory:2, {column}", 1, "error"),
        "last-not-answer": (f"memory:3, {column}", 1, "error"),
        "nothing-learned": (f"memory:4, {column}", 1, "error"),
        "empty-completion": (f"memory:5, {column}", 1, "error"),
        "system-not-first": (f"memory:8, {column}", 1, "warning"),
        "empty-prompt": (f"memory:9, {column}", 1, "warning"),
        "duplicates": (f"memory:10, {column}", 1, "warning"),
        "several-completions": (f"memory:1, {column} (and 2 more rows)", 3, "info"),
    }


def test_prompts_of_a_test_set_are_leaks() -> None:
    train = chats(*(row["messages"] for row in CHATS))
    test = chats(
        said(("user", "Q  3"), ("assistant", "another answer")), said(("user", "x"), ("assistant", "y"))
    )
    report = check(train, held_out={"test": test})
    assert report.leaks == 1
    (leak,) = [problem for problem in report.problems if problem.code == "leak"]
    assert leak.where == 'memory:4, column "messages"'
    splits = split(train, seed=0, validation_fraction=0.1, test_fraction=0.2, test=test)
    assert len(splits.train) + len(splits.validation) == 19
    assert "1 row of train left out" in splits.how


# mending, writing, parting


def test_mending_pairs() -> None:
    dataset = dataset_of(COMPLETION, ["p ", "q", "q", "Q", ""], [" a\n", "b", "c", "b", None])
    mended, done = mend(dataset)
    assert [(each.text, each.target) for each in mended] == [("p ", " a\n"), ("q", "b"), ("q", "c")]
    assert len(done) == 2
    assert mended.task == dataset.task


def test_mending_conversations(save: Save) -> None:
    rows = [
        *CHATS,
        {"messages": said(("user", "a"), ("assistant", "b"), ("user", "c"))},
        {"messages": said(("user", "a"))},
        {"messages": said(("user", "a"), ("assistant", "b", 0))},
        {"messages": said(("user", "a"), ("assistant", ""))},
        {"messages": said(("bot", "a"))},
        CHATS[0],
    ]
    path = save("a.jsonl", lines(rows))
    mended, done = mend(read(path, lenient=True))
    assert len(mended) == 21
    assert messages_in(mended[20].text) == said(("user", "a"), ("assistant", "b"))
    assert mended[20].target == "b"
    assert [line.split(" ", 2)[:2] for line in done] == [
        ["1", "row"],
        ["1", "row"],
        ["3", "rows"],
        ["1", "row"],
    ]
    assert check(mended).ok


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"])
def test_what_is_written_reads_the_same(tmp_path: Path, suffix: str) -> None:
    asked = chats(
        *(
            said(
                ("system", "a\n=b"),
                ("user", f'{n},\t"'),
                ("assistant", sentence(n), 0),
                ("assistant", f"x {n}"),
            )
            for n in range(9)
        )
    )
    write_dataset(tmp_path / f"a{suffix}", asked)
    assert read(tmp_path / f"a{suffix}").sha256 == asked.sha256
    pairs = dataset_of(COMPLETION, [f"=p\n{n}" for n in range(9)], [sentence(n) for n in range(9)])
    write_dataset(tmp_path / f"b{suffix}", pairs)
    assert read(tmp_path / f"b{suffix}").sha256 == pairs.sha256
    assert read(tmp_path / f"b{suffix}", COMPLETION).sha256 == pairs.sha256


def test_equal_prompts_never_part() -> None:
    dataset = dataset_of(COMPLETION, [f"p {n // 3}" for n in range(300)], [sentence(n) for n in range(300)])
    splits = split(dataset, seed=0, validation_fraction=0.1, test_fraction=0.2)
    parts = [set(part.texts) for part in (splits.train, splits.validation, splits.test)]
    assert [len(part) for part in parts] == [70, 10, 20]
    assert "stratified" not in splits.how
    shuffled = dataset.take(list(reversed(range(300))))
    again = split(shuffled, seed=0, validation_fraction=0.1, test_fraction=0.2)
    assert set(again.test.texts) == parts[2], "whatever the order of the rows"


def test_too_few_prompts_cannot_be_parted(refused: Refused) -> None:
    dataset = dataset_of(COMPLETION, ["p", "q"], ["a", "b"])
    told = refused(lambda: split(dataset, seed=0, validation_fraction=0.1, test_fraction=0.2))
    assert told.code == "too-few-rows"
    assert "label" not in told.fix


@pytest.mark.parametrize(
    ("name", "kind"), [("scitldr", None), ("multi30k", None), ("alpaca_9k", None), ("dolly_3k", "completion")]
)
def test_real_data(shared_data: Path, name: str, kind: Any) -> None:
    dataset = read(shared_data / name / "test.parquet", kind=kind)
    assert dataset.task.model_copy(update={"labels": ()}) == COMPLETION
    assert check(dataset).ok
