"""Keys, tokens and passwords: found, masked in what is said, refused in what is configured."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thesisbench.errors import UserError
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease
from thesisbench.store.secrets import (
    MASK,
    MaskedStream,
    masked,
    masked_data,
    masked_output,
    refuse_secret_words,
    refuse_secrets,
    secrets_of,
)

KEY = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_" + "aB3" * 11


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)


@pytest.mark.parametrize(
    "name",
    ["WANDB_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "PGPASSWORD", "my_secret"],
)
def test_variables_named_like_a_secret_hold_one(name: str) -> None:
    assert secrets_of({name: KEY}) == {name: KEY}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEYBOARD", "a" * 20),
        ("TOKENIZERS_PARALLELISM", "a" * 20),
        ("PATH", "/bin:/usr/bin"),
        ("SSH_AUTH_SOCK", "/tmp"),
        ("API_KEY", "true"),
    ],
)
def test_others_do_not(name: str, value: str) -> None:
    assert secrets_of({name: value}) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key {KEY}!", f"key {MASK}!"),
        (f"at {TOKEN}", f"at {MASK}"),
        ("https://me:mine@host/a", f"https://{MASK}@host/a"),
        ("postgres://:word@host", f"postgres://{MASK}@host"),
        ("ghp_" + "x" * 36, MASK),
        ("AKIA" + "A1" * 8, MASK),
        ("http://host:8080/a@b", "http://host:8080/a@b"),
        ("git@host:me/it.git", "git@host:me/it.git"),
        ("border=full seed=3", "border=full seed=3"),
    ],
)
def test_texts_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_a_secret_that_begins_with_another_is_masked_whole() -> None:
    environment = {"A_KEY": "abcdefgh", "B_KEY": "abcdefghijkl"}
    assert masked("abcdefghijkl", environment) == MASK


@given(st.text())
def test_what_holds_no_secret_stays_and_masking_twice_is_masking_once(text: str) -> None:
    once = masked(text, {})
    assert masked(once, {}) == once
    if "@" not in text and "_" not in text and "-" not in text:
        assert once == text or any(start in text for start in ("AKIA", "ASIA"))


@pytest.mark.parametrize("piece", ["y", "a.b-c+", "http://a:", "a://", "hf_", "x:y@"])
def test_a_long_text_is_no_trap(piece: str) -> None:
    """Work that grew with the square of the length would not come to an end."""
    text = piece * 300_000
    assert masked(text, {}) == text


def test_data_are_masked_in_keys_and_values_and_otherwise_stay() -> None:
    data = {"a": [1, 2.5, None, True, f"x {KEY}"], f"{TOKEN}": {"b": "c"}}
    assert masked_data(data) == {"a": [1, 2.5, None, True, f"x {MASK}"], MASK: {"b": "c"}}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"data": {"token": f"x{KEY}"}}, "data.token"),
        ({"data": {"urls": ["a", "https://me:mine@host"]}}, "data.urls[1]"),
        ({"logger": {"api_key": "not known"}}, "logger.api_key"),
        ({"a": {TOKEN: 1}}, "a"),
    ],
)
def test_a_configuration_with_a_secret_is_refused_without_quoting_it(
    config: dict[str, Any], key: str
) -> None:
    with pytest.raises(UserError) as caught:
        refuse_secrets(config, "run a")
    line = str(caught.value)
    assert line.startswith(f"run a: {key} holds ")
    assert "\n" not in line
    assert not any(secret in line for secret in (KEY, TOKEN, "mine@", "not known"))


def test_ordinary_configurations_pass() -> None:
    config = {"pad_token": "<padding>", "key": "width", "api_key": None, "n_tokens": 16}
    refuse_secrets(config, "run a")
    refuse_secret_words(["optimizer.lr=0.1", "+pool.token=first", "~scheduler", "border=full,same"])


@pytest.mark.parametrize("word", [f"+dataset.auth={TOKEN}", f"+x=[{KEY}]", "++y.password=abcdefgh"])
def test_overrides_with_a_secret_are_refused(word: str) -> None:
    with pytest.raises(UserError, match="environment itself") as caught:
        refuse_secret_words(["seed=1", word])
    assert word.partition("=")[2].strip("[]") not in str(caught.value)


def test_a_run_folder_takes_no_configuration_with_a_secret_and_masks_what_a_run_says(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path / "a")
    with pytest.raises(UserError, match=r"config\.token holds the value of the variable WANDB_API"):
        folder.write_config({"id": "a", "config": {"token": KEY}})
    assert not folder.path.exists()
    folder.write_config({"id": "a", "config": {}})
    with pytest.raises(UserError, match="holds"):
        folder.renew_config({"id": "a", "config": {"token": KEY}})
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    folder.write_state({"name": "running", "message": f"at https://me:{KEY}@host"}, lease)
    result = {"outcome": "ok", "metrics": {"top1": 0.1}, "digests": {"weights": "ab" * 8}}
    record = {"result": result, "provenance": {"facts": {"from": KEY}}}
    assert folder.publish_record(record, lease)
    assert all(KEY.encode() not in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert json.loads(folder.record_file.read_text())["result"] == result


def test_what_is_printed_is_masked_and_the_streams_come_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sys.stdout, sys.stderr
    with masked_output():
        print("the key is", KEY)
        print(dict(os.environ), file=sys.stderr)
    assert (sys.stdout, sys.stderr) == before
    said = capsys.readouterr()
    assert said.out == f"the key is {MASK}\n"
    assert KEY not in said.err
    assert MASK in said.err


def test_a_full_disk_loses_what_is_printed_and_other_errors_pass() -> None:
    class Broken(io.StringIO):
        number = errno.ENOSPC

        def write(self, text: str) -> int:
            raise OSError(self.number, "no")

        flush = write  # type: ignore[assignment]

    broken = Broken()
    assert MaskedStream(broken).write("text") == 4
    broken.number = errno.EPIPE
    with pytest.raises(BrokenPipeError):
        MaskedStream(broken).write("text")
