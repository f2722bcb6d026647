"""Complete files or none, the one spelling of a value, and one plain line for a bad folder."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thesisbench
from thesisbench.errors import CorruptFileError, UserError
from thesisbench.store.files import (
    TEMPORARY,
    canonical_json,
    format_json,
    plain_errors,
    publish,
    read_json,
    set_aside,
    temporary_path,
    write_json,
    write_text,
)
from thesisbench.store.litter import sweep
from thesisbench.store.owner import Process

ROOT = Path(thesisbench.__file__).parents[1]

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: Any) -> Any:
    """The same value with every mapping in reverse order of insertion."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def floated(value: Any) -> Any:
    """The same value with every integer that a float can hold exactly as a float."""
    if isinstance(value, dict):
        return {key: floated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [floated(item) for item in value]
    return float(value) if type(value) is int and abs(value) <= 2**53 else value


@given(values)
def test_canonical_json_keeps_the_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(values)
def test_canonical_json_does_not_depend_on_key_order(value: Any) -> None:
    assert canonical_json(shuffled(value)) == canonical_json(value)


@given(values)
def test_canonical_json_writes_a_number_the_same_way_as_float_and_as_integer(value: Any) -> None:
    assert canonical_json(floated(value)) == canonical_json(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (True, "true"),
        (1e-3, "0.001"),
        (1e22, "1" + "0" * 22),
        ("1e-3", '"1e-3"'),
        ((1, None), "[1,null]"),
        ({"b": {}, "a": "é"}, '{"a":"\\u00e9","b":{}}'),
    ],
)
def test_canonical_json_spelling(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"lr": float("nan")}, r"value\.lr is nan"),
        ([0, float("-inf")], r"value\[1\] is -inf"),
        ({"model": {1: "x"}}, r"value\.model has the key 1"),
        ({True: "x"}, "has the key True"),
        ({"path": Path()}, r"value\.path is a PosixPath"),
    ],
)
def test_canonical_json_refuses_what_has_no_one_spelling(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        canonical_json(value)


def test_canonical_json_is_the_same_in_a_process_with_another_hash_seed() -> None:
    value = {"set": {name: i / 7 for i, name in enumerate(["gamma", "alpha", "beta", "delta"])}}
    code = (
        "import sys, json; from thesisbench.store.files import canonical_json as c;"
        "v = json.load(sys.stdin); print(c({k: v[k] for k in {*v}}), hash('a'))"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(value["set"]),
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert answers[0][1] != answers[1][1], "the hash seeds had no effect"
    assert answers[0][0] == answers[1][0] == canonical_json(value["set"])


@settings(max_examples=20)
@given(values)
def test_a_written_value_is_read_back_exactly(value: Any) -> None:
    assert json.loads(format_json(value)) == value


def test_format_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        format_json({"loss": float("nan")})


def test_write_replaces_the_whole_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_text(path, "long " * 1000)
    write_json(path, {"b": 1, "a": "\udc80 é"})
    assert read_json(path) == {"a": "\udc80 é", "b": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_write_keeps_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_an_interrupted_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"cannot write .*state\.json: the disk is full; free some"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_first_to_publish_wins(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert publish(path, "first")
    assert not publish(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_whose_answer_got_lost_counts_as_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Path.hardlink_to

    def lose_answer(self: Path, target: Path) -> None:
        link(self, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(Path, "hardlink_to", lose_answer)
    assert publish(tmp_path / "record.json", "ours")


@pytest.mark.parametrize("write", [write_text, publish])
def test_a_file_in_place_of_the_folder_gives_one_line(tmp_path: Path, write: Any) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError) as caught:
        write(tmp_path / "runs" / "a.json", "")
    assert str(caught.value) == (
        f"cannot write {tmp_path}/runs/a.json: a file is where a folder should be; "
        "move it away or choose another folder"
    )


@pytest.mark.parametrize("write", [write_text, publish])
def test_a_vanished_folder_gives_one_line(tmp_path: Path, write: Any) -> None:
    with pytest.raises(UserError, match="the folder does not exist or has vanished"):
        write(tmp_path / "gone" / "a.json", "")


def test_a_folder_in_place_of_the_file_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*a\.json: a folder is where a file"):
        write_text(tmp_path / "a.json", "")


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EPERM, errno.EIO, errno.ESTALE]
)
def test_every_error_of_the_file_system_becomes_one_line(tmp_path: Path, number: int) -> None:
    with pytest.raises(UserError) as caught, plain_errors("write", tmp_path):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"cannot write {tmp_path}: ")
    assert "\n" not in str(caught.value)
    assert "Errno" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b'{"a": 1', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"\0" * 64]
)
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"record\.json is corrupt: ") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_not_corrupt(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "record.json")


def test_setting_aside_takes_the_first_free_number(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for n in (1, 2, 3):
        path.write_text(str(n))
        assert set_aside(path) == tmp_path / f"record.json.corrupt-{n}"
        assert not path.exists()
    assert [(tmp_path / f"record.json.corrupt-{n}").read_text() for n in (1, 2, 3)] == [*"123"]
    with pytest.raises(FileNotFoundError):
        set_aside(path)


def test_sweep_removes_litter_of_the_dead_and_nothing_of_the_living(tmp_path: Path) -> None:
    me = Process.current()
    mine = temporary_path(tmp_path)
    dead = tmp_path / f"{TEMPORARY}{me.boot}-{me.namespace}-{me.pid}-{me.start + 1}-abc"
    elsewhere = tmp_path / f"{TEMPORARY}{'0' * 32}-1-1-1-abc"
    unknown = tmp_path / f"{TEMPORARY}unknown-0-1-0-abc"
    stranger = tmp_path / f"{TEMPORARY}note"
    for path in (mine, dead, elsewhere, unknown, stranger, tmp_path / "record.json"):
        path.touch()
    assert sweep(tmp_path, now=time.time()) == 1
    assert not dead.exists()
    assert sweep(tmp_path, now=time.time() + 4000) == 2
    assert {p.name for p in tmp_path.iterdir()} == {mine.name, stranger.name, "record.json"}
