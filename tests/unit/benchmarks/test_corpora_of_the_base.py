"""What the embedded base reads: prose out of documentation and WordNet, without what models are judged on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from benchmarks.overlap import WORDS, Forbidden
from benchmarks.prose import is_prose, prose_of, write_documentation
from benchmarks.wordnet import meanings, write_wordnet

SENTENCE = "The minister told the press on Monday that the new law is to be read in the house before June."
OTHER = "It is not the end of the season, and the team that you see in this picture can still win it all."

MANUAL = f""".\\" a comment
.TH LS 1
.SH DESCRIPTION
The minister told the press on
.B Monday
that the \\fInew\\fP law is to be read in the house before June.
.PP
{OTHER}
.nf
ls \\-l | the code of a program that is not prose and does not end in a full stop
.fi
"""
POD = f"""package Some;
my $code = 1;

=head1 NAME

The minister told the press on B<Monday> that the new L<law|perlfunc> is to be read in the house before June.

    the code of a program that is not prose, though it is long enough to be taken for it.

=cut

{OTHER}
"""
HTML = f"""<html><script>the script that is not to be read by you, and not to be in the text at all.</script>
<p>The minister told the press on <b>Monday</b> that the new law is to be read in the house before June.</p>
<pre>{OTHER}</pre>"""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("man/man1/ls.1.gz", MANUAL, [SENTENCE, OTHER]),
        ("man/de/man1/ls.1.gz", MANUAL, []),
        ("man/man1/gcloud_help.1", MANUAL, []),
        ("perl/Some.pm", POD, [SENTENCE]),
        ("doc/a.html", HTML, [SENTENCE]),
        ("doc/README", f"{SENTENCE[:38]}\n  {SENTENCE[38:]}\n\n * a\n * b\n\n{OTHER}\n", [SENTENCE, OTHER]),
        ("doc/data.bin", SENTENCE, []),
    ],
)
def test_prose_is_found_in_documentation_of_each_kind(
    name: str, text: str, expected: list[str], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    assert list(prose_of(path)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Too short to be of any use.",
        "The list of the names that are in it: alpha, beta, gamma, delta and more of them to the end",
        "if (a[i] == 0) { return x->y; } /* the code of a function that is in C */ else { b[j++] = 7; }.",
        "Der Minister sagte der Presse am Montag, dass das neue Gesetz vor dem Juni gelesen werden soll.",
    ],
)
def test_what_is_no_english_sentence_is_no_prose(text: str) -> None:
    assert is_prose(SENTENCE)
    assert not is_prose(text)


def test_a_paragraph_that_many_files_hold_is_written_once(tmp_path: Path) -> None:
    for name, texts in {"a.txt": [SENTENCE], "b.txt": [SENTENCE.upper(), OTHER], "c.txt": [OTHER]}.items():
        (tmp_path / name).write_text("\n\n".join(texts), encoding="utf-8")
    (tmp_path / "broken.txt").write_bytes(b"\xff\xfe\xfa")
    out = tmp_path.parent / f"{tmp_path.name}.out"
    assert write_documentation(out, (tmp_path,)) == 2
    assert out.read_text(encoding="utf-8") == f"{SENTENCE}\n\n{OTHER}\n\n"


def test_meanings_are_read_from_wordnets_files(tmp_path: Path) -> None:
    licence = "  1 This software is provided | as is\n"
    goal = '00002137 03 n 02 goal 0 end_point(a) 0 010 @ 00001740 n 0000 | the end; "a goal | scored"  \n'
    run = "00002138 29 v 01 run 1 001 @ 00001740 v 0000 | move fast\n"
    (tmp_path / "data.noun").write_text(licence + goal, encoding="utf-8")
    assert list(meanings(tmp_path / "data.noun")) == ['goal, end point: the end; "a goal | scored".']
    for name in ("verb", "adj", "adv"):
        (tmp_path / f"data.{name}").write_text(licence + run * 13, encoding="utf-8")
    assert write_wordnet(tmp_path / "out.txt", tmp_path) == 1 + 3 * 13
    documents = (tmp_path / "out.txt").read_text(encoding="utf-8").strip().split("\n\n")
    assert [len(document.split("\n")) for document in documents] == [1, 12, 1, 12, 1, 12, 1]


def test_runs_of_thirteen_words_that_are_judged_on_are_found_whatever_their_case() -> None:
    words = SENTENCE.split()
    forbidden = Forbidden([SENTENCE, "Well said!", ""])
    assert len(words) > WORDS
    assert forbidden.is_in(f"He said: {' '.join(words[2 : 2 + WORDS]).upper()}, more or less.")
    assert not forbidden.is_in(" ".join(words[2 : 1 + WORDS]))
    assert not forbidden.is_in(" ".join([*words[: WORDS // 2], "never", *words[WORDS // 2 : WORDS]]))
    # short texts only as a whole
    assert forbidden.is_in("well, said")
    assert not forbidden.is_in("It was well said.")
    assert not forbidden.is_in("")
    assert not Forbidden([]).is_in(SENTENCE)
