"""Tables as LaTeX: the thesis's layout, nothing from a spec is a command, and it compiles."""

from __future__ import annotations

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_table import fill, open_session, write_chapter

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.store.runs import RunStore
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.render.latex import latex_document, render_latex
from thesisbench.tables.render.latex_text import escape
from thesisbench.tables.session import Session

ALLOWED = re.compile(
    r"\\(?:[a-zA-Z]+\{\}|[{}$&#_%]|(?:ensuremath|text(?:super|sub)script)\{[^{}]*\}"
    r"|[`'^~=\".uvHrdckb]\{[a-zA-Z]\})"
)


def odd(tmp_path: Path, scale: str = "small", table: str = "toy.t1") -> str:
    write_chapter(tmp_path)
    session = open_session(tmp_path, table, scale=scale)
    fill(session)
    return render_latex(session, table)


def line_of(text: str, label: str) -> list[str]:
    """The cells of the row of a label."""
    (line,) = (x for x in text.splitlines() if x.startswith(label))
    return [cell.strip() for cell in re.sub(r"\\\\(?: \\addlinespace)?$", "", line).split(" & ")]


def test_published_and_ours_stand_side_by_side(tmp_path: Path) -> None:
    text = odd(tmp_path)
    assert r"\multicolumn{2}{c}{Test set} & \multicolumn{4}{c}{Derived, 100\% \{of\} it}" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-7}" in text
    assert line_of(text, "Plain")[:3] == [
        "Plain {[}net{]}",
        r"81.4 \ensuremath{\pm} 0.5",
        r"81.0 \ensuremath{\pm} 1.0 (n=5)\textsuperscript{a}",
    ]
    assert r"\label{tab:toy-t1}" in text
    caption = next(x for x in text.splitlines() if x.startswith(r"\caption"))
    assert "not the published experiment" in caption
    assert "verdict" not in text


def test_what_is_compared_has_difference_and_verdict(tmp_path: Path) -> None:
    text = odd(tmp_path, "paper")
    verdict = r"\begin{tabular}[t]{@{}r@{}}$-$0.4\\reproduced\end{tabular}"
    assert line_of(text, "Plain")[3] == verdict
    assert line_of(text, "People")[2:4] == [
        r"\begin{tabular}[t]{@{}r@{}}not run\\(human)\end{tabular}",
        r"not comparable\textsuperscript{f}",
    ]
    assert "not the published experiment" not in text


def test_a_table_with_targets_only_has_published_values_only(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    (tmp_path / "conf/experiment/toy/odd/fit.yaml").unlink()
    text = render_latex(open_session(tmp_path), "toy.t1")
    assert line_of(text, "Plain") == [
        "Plain {[}net{]}", r"81.4 \ensuremath{\pm} 0.5", "0.0", "18.6",
    ]  # fmt: skip
    assert "Targets only" in text
    assert "ours &" not in text
    assert "superscript" not in text


def test_every_row_has_the_same_number_of_cells(tmp_path: Path) -> None:
    for number, scale in enumerate(("small", "paper")):
        (folder := tmp_path / scale).mkdir()
        body = odd(folder, scale).split(r"\midrule")[1].split(r"\bottomrule")[0]
        counts = {len(re.findall(r"(?<!\\)&", line)) for line in body.strip().splitlines()}
        assert counts == {(6, 9)[number]}


def test_an_unknown_table_is_named(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    with pytest.raises(UserError, match=r"unknown table 'toy\.t9'"):
        render_latex(open_session(tmp_path), "toy.t9")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        (r"\write18", r"\textbackslash{}write18"),
        ("%_&#$~^", r"\%\_\&\#\$\textasciitilde{}\textasciicircum{}"),
        ("[x]*", "{[}x{]}{*}"),
        ("--seeds", "-{}-seeds"),
        ("a\n\n b", "a b"),
        ("± × ≥", r"\ensuremath{\pm} \ensuremath{\times} \ensuremath{\geq}"),
        ("↑↓→", r"\ensuremath{\uparrow}\ensuremath{\downarrow}\ensuremath{\rightarrow}"),
        ("σλΣ", r"\ensuremath{\sigma}\ensuremath{\lambda}\ensuremath{\Sigma}"),
        ("é ř Å", r"\'{e} \v{r} \r{A}"),
        ("m²", r"m\textsuperscript{2}"),
        ("ﬁ½", r"fi{[}U+00BD{]}"),
        ("\x00\u202e", "{[}U+FFFD{]}{[}U+202E{]}"),
    ],
)
def test_text_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@given(st.text())
def test_whatever_the_text_it_is_ascii_and_holds_only_known_commands(text: str) -> None:
    made = escape(text)
    assert made.isascii()
    assert "\n" not in made
    rest = ALLOWED.sub("", made)
    assert not set(rest) & set("\\$&#_%~^")
    assert not set(rest) - set(string.printable)


def compile_document(folder: Path, text: str) -> str:
    """The log of a compilation without errors."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex here: install texlive-latex-recommended and texlive-latex-extra")
    (folder / "all.tex").write_text(text, encoding="ascii")
    words = [program, "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "all.tex"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace")
    log = (folder / "all.log").read_text(errors="replace")
    assert done.returncode == 0, "\n".join(x for x in log.splitlines() if x.startswith("!"))
    return log


@pytest.mark.slow
def test_the_odd_table_compiles_and_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "paper").mkdir()
    fragments = [odd(tmp_path), odd(tmp_path / "paper", "paper")]
    every = "".join(map(chr, range(32, 0x2300))) + "中😀\u202e"
    log = compile_document(tmp_path, latex_document([*fragments, f"{escape(every)}\n"]))
    assert "passwd" not in log


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["small", "paper"])
def test_all_tables_compile_and_none_runs_off_its_page(tmp_path: Path, scale: str) -> None:
    catalog = Catalog.at()
    session = Session(
        catalog, RunStore(tmp_path / "runs"), Composer(), tuple(catalog.tables), scale
    )
    text = latex_document(render_latex(session, table) for table in catalog.tables)
    log = compile_document(tmp_path, text)
    assert (
        re.findall(r"^(?:Overfull .*|.*Float too large.*|.*multiply defined.*)$", log, re.M) == []
    )
