"""Nonsense on the command line: exit code 2, one clear line that names it, and nothing written.

Each line below is a command line and, after `=>`, words of which the answer must have one; none
means that there is no bad word to name.
"""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.types import Override
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from thesisbench.cli import app, main
from thesisbench.completion import LISTED
from thesisbench.compose import Composer
from thesisbench.report import FORMATS
from thesisbench.tables import catalog

NONSENSE = r"""
frobnicate => frobnicate
'' => No such command
REPRODUCE => REPRODUCE
reproduce.py => reproduce.py
--version-of-nothing => --version-of-nothing
-z => -z
'reproduce kayhan.t2.1' => 'reproduce kayhan.t2.1'
../../bin/sh => ../../bin/sh
表 => 表
@LONG => xxx

reproduce => no table
reproduce '' => ''
reproduce ' ' => ' '
reproduce kayhan.t99 => kayhan.t99
reproduce kayhan => kayhan
reproduce kayhan.t2.1.3 => kayhan.t2.1.3
reproduce KAYHAN.T2.1 => KAYHAN.T2.1
reproduce 'kayhan.t2.1 ' => 'kayhan.t2.1 '
reproduce kayhan.t2.1,kayhan.f2.1 => kayhan.t2.1,kayhan.f2.1
reproduce ../kayhan.t2.1 => ../kayhan.t2.1
reproduce ../../../etc/passwd => ../../../etc/passwd
reproduce /etc/passwd => /etc/passwd
reproduce 'kayhan.t2.1; ls' => 'kayhan.t2.1; ls'
reproduce таблица => таблица
reproduce 💥 => 💥
reproduce @LONG => xxx
reproduce kayhan.t2.1 liu.t99.9 => liu.t99.9
reproduce kayhan.t2.1 kayhan => kayhan
reproduce kayhan.t2.1 --scale => --scale
reproduce kayhan.t2.1 --scale '' => ''
reproduce kayhan.t2.1 --scale SMALL => SMALL
reproduce kayhan.t2.1 --scale small --scale big => big
reproduce kayhan.t2.1 --scale smoke,small => smoke,small
reproduce kayhan.t2.1 --seeds => --seeds
reproduce kayhan.t2.1 --seeds '' => ''
reproduce kayhan.t2.1 --seeds -1 => -1
reproduce kayhan.t2.1 --seeds 1.5 => 1.5
reproduce kayhan.t2.1 --seeds 0- => 0-
reproduce kayhan.t2.1 --seeds 4-0 => 4-0
reproduce kayhan.t2.1 --seeds 0-99999999999999 => 0-99999999999999
reproduce kayhan.t2.1 --seeds ² => ²
reproduce kayhan.t2.1 --seeds 0,0 => 0,0
reproduce kayhan.t2.1 --workers => --workers
reproduce kayhan.t2.1 --workers two => two
reproduce kayhan.t2.1 --workers -1 => -1
reproduce kayhan.t2.1 --workers 1e9 => 1e9
reproduce kayhan.t2.1 --launcher => --launcher
reproduce kayhan.t2.1 --launcher '' => launcher
reproduce kayhan.t2.1 --launcher ../local => ../local
reproduce kayhan.t2.1 --rerun => --rerun
reproduce kayhan.t2.1 --rerun '' => ''
reproduce kayhan.t2.1 --rerun ../.. => ../..
reproduce kayhan.t2.1 --rerun failed --rerun nonsense => nonsense
reproduce kayhan.t2.1 --strict=yes => --strict
reproduce kayhan.t2.1 --strickt => --strickt
reproduce kayhan.t2.1 --out => --out
reproduce kayhan.t2.1 --out /dev/null/x => /dev/null/x
reproduce kayhan.t2.1 --out a_file => a_file
reproduce kayhan.t2.1 --out a_file/below => a_file/below
reproduce kayhan.t2.1 --spec-dir '' => ''
reproduce kayhan.t2.1 --spec-dir @LONG => xxx
reproduce kayhan.t2.1 --config-dir '' => ''
reproduce kayhan.t2.1 --config-dir @LONG => xxx
reproduce kayhan.t2.1 --out @LONG => xxx
reproduce kayhan.t2.1 --out a/@LONG => xxx
reproduce kayhan.t2.1 --spec-dir a_file => a_file
reproduce kayhan.t2.1 --config-dir /no/such => /no/such
reproduce kayhan.t2.1 --config-dir a_file => a_file
reproduce --thesis => --thesis
reproduce --thesis '' => ''
reproduce --thesis nobody => nobody
reproduce --thesis kayhan --thesis nobody => nobody
reproduce --chapter '' => ''
reproduce --chapter kayhan => kayhan
reproduce --chapter ../kayhan/full_conv => ../kayhan/full_conv
reproduce --chapter kayhan/full_conv/ => kayhan/full_conv/
reproduce --all=1 => --all
reproduce kayhan.t2.1 = => =
reproduce kayhan.t2.1 =5 => =5
reproduce kayhan.t2.1 == => ==
reproduce kayhan.t2.1 + => +
reproduce kayhan.t2.1 ~ => ~
reproduce kayhan.t2.1 ~nothing => nothing
reproduce kayhan.t2.1 @LONG=1 => xxx
reproduce kayhan.t2.1 schedule.batch_size=0 => schedule.batch_size
reproduce kayhan.t2.1 schedule.select=worst => worst
reproduce kayhan.t2.1 schedule.mode=maximum => maximum
reproduce kayhan.t2.1 memory_format=last => last
reproduce kayhan.t2.1 precision=half => half
reproduce kayhan.t2.1 optimizer.lr=nan => lr
reproduce kayhan.t2.1 optimizer.lr=inf => lr
reproduce kayhan.t2.1 optimizer.lr=true => lr
reproduce kayhan.t2.1 ++schedule.epochs=x => x
reproduce kayhan.t2.1 schedule=fast => schedule
reproduce kayhan.t2.1 schedule.epochs= => schedule.epochs
reproduce kayhan.t2.1 schedule.epochs=-1 => schedule.epochs
reproduce kayhan.t2.1 schedule.epochs=1e3 => schedule.epochs
reproduce kayhan.t2.1 schedule.epochs=1,2 => schedule.epochs
reproduce kayhan.t2.1 'schedule.epochs=[1' => schedule.epochs
reproduce kayhan.t2.1 'schedule.epochs=${oc.env:HOME}' => Integer
reproduce kayhan.t2.1 'schedule.epochs=${nothing}' => nothing
reproduce kayhan.t2.1 'optimizer.lr=nan of course' => optimizer.lr
reproduce kayhan.t2.1 optimizer.lr=nought => nought
reproduce kayhan.t2.1 border=../border/full => ../border/full
reproduce kayhan.t2.1 border=full border=full2 => full2
reproduce kayhan.t2.1 kind=eval => kind
reproduce kayhan.t2.1 revision=7 => revision
reproduce kayhan.t2.1 experiment=kayhan/full_conv/red_green => experiment
reproduce kayhan.t2.1 seed=1 => seed
reproduce kayhan.t2.1 backbone._target_=os.system => _target_
reproduce kayhan.t2.1 hydra.run.dir=/ => hydra
reproduce kayhan.t2.1 launcher.nothing=1 => launcher
reproduce kayhan.t2.1 trainer.devices=many => many
reproduce kayhan.t2.1 logger=nothing => nothing
reproduce kayhan.t2.1 ключ=1 => ключ
reproduce kayhan.t2.1 border=@LONG => border
reproduce ilic.t4.3 => ilic.t4.3
reproduce --thesis ilic => targets only

report => no table
report '' => ''
report kayhan.t2.1 --format => --format
report kayhan.t2.1 --format '' => ''
report kayhan.t2.1 --format pdf => pdf
report kayhan.t2.1 --format MD => MD
report kayhan.t2.1 --format md --format nope => nope
report kayhan.t2.1 --format html,md => html,md
report kayhan.t2.1 --scale tiny => tiny
report kayhan.t2.1 --scale '' => ''
report kayhan.t2.1 --out => --out
report kayhan.t2.1 --format html --out /dev/null/x => /dev/null/x
report kayhan.t2.1 --format md --out a_file => a_file
report kayhan.t2.1 --format csv --out a_file/x => a_file/x
report kayhan.t2.1 --json => --json
report kayhan.t2.1 --outt x => --outt
report kayhan.t99 --format tex => kayhan.t99
report ../../etc/passwd --format html => ../../etc/passwd
report --all extra => extra
report --thesis nobody --format csv => nobody
report --chapter nobody/nothing => nobody/nothing
report kayhan.t2.1 --workers 2 => --workers
report kayhan.t2.1 border=nothing => nothing
report @BYTES => udcff
report kayhan.t2.1 --format @BYTES => udcff
report kayhan.t2.1 --format tex --out @LONG => xxx

plan => no table
probe => Missing argument
probe '' '' => ''
probe equivariance => Missing argument
probe equivariances resnet18 => equivariances
probe equivariance resnet19 => resnet19
probe equivariance ../resnet18 => ../resnet18
probe equivariance none => none
probe equivariance red_green_net border=fulll => fulll
probe equivariance red_green_net borderr=full => borderr
probe equivariance red_green_net dataset=red_green => dataset
probe equivariance red_green_net backbone._target_=os.system => _target_
probe equivariance red_green_net --mode sideways => sideways
probe equivariance red_green_net --shifts 0 => 0
probe equivariance red_green_net --size many => many
probe equivariance red_green_net --out a.pdf => .pdf
probe equivariance red_green_net --zz => --zz
plan kayhan.t99 => kayhan.t99
plan kayhan.t2.1 --scale huge => huge
plan kayhan.t2.1 --seeds one => one
plan kayhan.t2.1 --probe=maybe => --probe
plan kayhan.t2.1 --probe-limit 0 => 0
plan kayhan.t2.1 --probe-limit many => many
plan kayhan.t2.1 --workers 0 => workers
plan kayhan.t2.1 --format md => --format
plan --all --thesis nobody => nobody
plan kayhan.t2.1 schedule.epoch=4 => schedule.epoch

status nonsense => nonsense
status '' => ''
status --scale huge => huge
status --scale => --scale
status --seeds 1 => no table
status --second-look => no table
status border=full => no table
status --spec-dir /no/such => /no/such
status --watch=yes => --watch
status --watch --json => --json
status kayhan.t2.1 --watch --json => --watch
status kayhan.t2.1 --watch nonsense => nonsense
status kayhan.t2.1 --jsno => --jsno
status kayhan.t2.1 --scale 1 => 1
status kayhan.t2.1 --second-look=2 => --second-look
status --chapter kayhan/nope => kayhan/nope

accept => no table
accept nonsense => nonsense
accept --thesis nobody => nobody
accept kayhan.t2.1 --scale enormous => enormous
accept kayhan.t2.1 --force => --force
accept kayhan.t2.1 --spec-dir /no/such => /no/such

list nonsense => nonsense
list '' => ''
list table => table
list tables claims => claims
list tables --json=1 => --json
list tables --thesis nobody => nobody
list tables --thesis '' => ''
list tables --task nothing => nothing
list tables --state wonderful => wonderful
list claims --state accepted => accepted
list runs --state holds => holds
list theses --chapter nothing => --chapter
list tables --spec-dir /no/such => /no/such
list variants --config-dir a_file => a_file
list --frob => --frob
list @LONG => xxx
list --task @LONG => xxx
list --spec-dir '' => ''
list --config-dir '' => ''

search => words
search '' => word
search ' ' '' => word
search border --thesis nobody => nobody
search border --jsn => --jsn
search border --spec-dir a_file => a_file
search border --spec-dir '' => ''

show => name
show '' => ''
show nothing => nothing
show kayhan.t99 => kayhan.t99
show kayhan.t2.1 kayhan.f2.1 => kayhan.f2.1
show C999 --chapter kayhan/full_conv => C999
show kayhan/full_conv:C999 => C999
show kayhan/nothing:C1 => kayhan/nothing
show C1 --chapter nothing => nothing
show C1 => C1
show 0000000000000000 => 0000000000000000
show abc => abc
show . => .
show ../../etc/passwd => ../../etc/passwd
show a_file => a_file
show kayhan.t2.1 --jsonn => --jsonn
show @LONG => xxx
show a/@LONG => xxx

doctor extra => extra
doctor --fix => --fix
doctor --json=2 => --json

train => experiment=
train '' => ''
train nothing => nothing
train experiment= => experiment
train experiment=nothing => nothing
train experiment=@LONG => xxx
train @LONG=1 => xxx
train experiment=@RECIPE seed=-1 => -1
train experiment=@RECIPE seed=99999999999999999999 => 99999999999999999999
train experiment=../../train => ../../train
train experiment=@RECIPE seed=one => one
train experiment=@RECIPE seed=1,2 => seed
train experiment=@RECIPE seed= => seed
train experiment=@RECIPE 'seed=range(' => seed
train experiment=@RECIPE 'border=glob(z*)' -m => glob(z*)
train experiment=@RECIPE border=nothing => nothing
train experiment=@RECIPE nothing=1 => nothing
train experiment=@RECIPE schedule.epochs=two => two
train experiment=@RECIPE --rerun => --rerun
train experiment=@RECIPE --rerun nonsense => nonsense
train experiment=@RECIPE --config-dir /no/such => /no/such
train experiment=@RECIPE --workers 2 => --workers
train experiment=@RECIPE hydra/launcher=joblib => hydra/launcher
train experiment=@RECIPE launcher=nothing => nothing
train experiment=@RECIPE backbone._target_=os.system => _target_
train experiment=@RECIPE_test => kind eval
train --cfg => cfg
train --cfg nothing => nothing
train experiment=nothing --cfg job => nothing

search-hparams => --metric
search-hparams --metric => --metric
search-hparams --metric val_loss => nothing to search
search-hparams --metric '' experiment=@RECIPE schedule.epochs=range(1,4) => --metric
search-hparams --metric x border=full,same => experiment=
search-hparams --metric x nonsense => nonsense
search-hparams --metric x '' => ''
search-hparams --metric x experiment=nothing schedule.epochs=range(1,4) => nothing
search-hparams --metric x experiment=@RECIPE schedule.epochs=range(4,1) => range(4,1)
search-hparams --metric x experiment=@RECIPE schedule.epochs=interval(1 => interval(1
search-hparams --metric x experiment=@RECIPE schedule.epochs=interval(1,4) => schedule.epochs
search-hparams --metric x experiment=@RECIPE optimizer.lrr=interval(1,4) => optimizer.lrr
search-hparams --metric x experiment=@RECIPE border=choice(full,fulll) => fulll
search-hparams --metric x experiment=@RECIPE seed=range(0,3) => seed
search-hparams --metric x experiment=@RECIPE 'optimizer.lr=tag(log,interval(0,1))' => interval(0,1)
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --direction up => up
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --trials 0 => 0
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --trials many => many
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --study ../x => ../x
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --study '' => ''
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --study @LONG => xxx
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --seeds 1,1 => 1,1
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --workers 0 => workers
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --config-dir /no/such => /no/such
search-hparams --metric x experiment=@RECIPE schedule.epochs=1,2 --direktion up => --direktion
search-hparams --metric x experiment=@RECIPE hydra/sweeper=optuna => search-hparams
search-hparams --metric x experiment=@RECIPE_test seed=1 evaluation.splits=[a],[b] => kind eval

evaluate => run
evaluate '' => ''
evaluate nothing => nothing
evaluate 0000000000000000 => 0000000000000000
evaluate . => .
evaluate /etc/passwd => /etc/passwd
evaluate /dev/null => /dev/null
evaluate a_file => a_file
evaluate a_file/x => a_file/x
evaluate @LONG => xxx
evaluate ../.. experiment=nothing => ../..
evaluate nothing --jsonn => --jsonn
evaluate nothing --config-dir => --config-dir

run => folder
run nothing => nothing
run '' => .
run a_file => a_file
run @LONG => xxx
run . . => unexpected extra argument
"""
LINES = [line for line in NONSENSE.splitlines() if line]
STANDS_FOR = {
    "@LONG": "x" * 5000,
    "@RECIPE": "kayhan/full_conv/red_green",
    "@BYTES": "\udcff",  # how a byte that is no UTF-8 arrives
}


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    code: object
    out: str
    err: str


Call = Callable[..., Said]


@contextmanager
def no_run_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Starting a run is an error here, whatever the command line was."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a run was started")

    with monkeypatch.context() as patch:
        for module in ("reproduce", "train"):
            patch.setattr(f"thesisbench.{module}.execute", started)
        patch.setattr("thesisbench.evaluate.run_folder", started)
        yield


@pytest.fixture(scope="module", autouse=True)
def remembered() -> Iterator[None]:
    """Spec files are read, and choices of groups composed, once for all command lines here."""
    load, known = Composer._load, {}

    def loaded(self: Composer, groups: Sequence[Override], key: Any, origin: str) -> Any:
        place = (self.searchpath, key)
        if place not in known:
            known[place] = load(self, groups, key, origin)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Composer, "_load", loaded)
        patch.setattr(catalog, "read_yaml", functools.cache(catalog.read_yaml))
        yield


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Call]:
    """Calls the program in an empty folder that holds one file, and the runs folder to be."""
    (tmp_path / "a_file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THESISBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path / "data"))

    def called(*words: str) -> Said:
        before = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["thesisbench", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        signal.signal(signal.SIGTERM, before)
        return Said(stop.value.code, *capsys.readouterr())

    with no_run_starts(monkeypatch):
        yield called


def check(said: Said) -> None:
    """One clear line, exit code 2, and nothing written."""
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("thesisbench: ")
    assert said.err.count("\n") == 1
    assert said.err.endswith("\n")
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err
    assert {p.name: p.read_text() for p in Path.cwd().rglob("*")} == {"a_file": "mine"}


def test_there_are_enough_of_them() -> None:
    assert len(LINES) == len(set(LINES)) > 200
    assert {line.split()[0] for line in LINES} > set(COMMANDS)


@pytest.mark.parametrize("line", LINES)
def test_nonsense_gets_one_line_that_names_it(line: str, call: Call) -> None:
    words, _, wanted = line.partition(" => ")
    filled = words
    for name, text in STANDS_FOR.items():
        filled = filled.replace(name, text)
    said = call(*shlex.split(filled))
    check(said)
    assert any(word in said.err for word in wanted.split("|")), said.err


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
THESES = ("cross", "ilic", "kayhan", "liu", "singh", "zhao")
# Hypothesis knows the constants of the program: what names a table is no nonsense.
NO_OPTION = WORDS.filter(lambda word: not word.startswith(("-", *THESES)))
OPTIONS = st.from_regex(r"--zz[a-z-]{0,20}(=.{0,9})?", fullmatch=True)
TABLES = ["reproduce", "report", "plan", "status", "accept"]
COMMANDS = sorted(c.name or c.callback.__name__ for c in app.registered_commands)
NAMES = [*TABLES, "list", "show", "evaluate", "train", "run"]


def unknown_words() -> st.SearchStrategy[list[str]]:
    """Command lines that are wrong for one reason at least, whatever else is in them."""
    scale = NO_OPTION.filter(lambda word: word not in ("smoke", "small", "paper", "auto"))
    names = st.tuples(st.sampled_from(NAMES), NO_OPTION)
    scales = st.tuples(st.sampled_from(TABLES), st.just("kayhan.t2.1"), st.just("--scale"), scale)
    commands = st.sampled_from(COMMANDS)
    options = st.tuples(commands, st.sampled_from(["kayhan.t2.1", "--all", "x=1"]), OPTIONS)
    form = NO_OPTION.filter(lambda word: word not in FORMATS)
    forms = st.tuples(st.just("report"), st.just("--all"), st.just("--format"), form)
    several = st.lists(NO_OPTION.filter(lambda word: "=" not in word), min_size=1, max_size=4)
    many = several.map(lambda words: ["reproduce", "kayhan.t2.1", *words])
    return st.one_of(names.map(list), scales.map(list), options.map(list), forms.map(list), many)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=unknown_words())
def test_more_nonsense(words: list[str], call: Call) -> None:
    assume(not set(words) & set(LISTED))
    check(call(*words))
