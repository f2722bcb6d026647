from __future__ import annotations

from pathlib import Path

import pytest

from thesisbench.loggers.mode import choose_mode, writer_environment

KEY = "k" * 40


def test_without_a_key_it_stays_offline(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert choose_mode(home) == "offline"
    assert choose_mode({**home, "WANDB_API_KEY": ""}) == "offline"
    assert choose_mode({**home, "WANDB_MODE": "online"}) == "offline", "it would have to ask"


def test_a_key_in_the_environment_means_online(tmp_path: Path) -> None:
    assert choose_mode({"HOME": str(tmp_path), "WANDB_API_KEY": KEY}) == "online"


@pytest.mark.parametrize("mode", ["offline", "disabled", "OFFLINE"])
def test_wandb_mode_keeps_it_offline_in_spite_of_a_key(tmp_path: Path, mode: str) -> None:
    variables = {"HOME": str(tmp_path), "WANDB_API_KEY": KEY, "WANDB_MODE": mode}
    assert choose_mode(variables) == "offline"


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (f"machine api.wandb.ai login user password {KEY}\n", "online"),
        (f"machine example.org login user password {KEY}\n", "offline"),
        ("machine api.wandb.ai login\n", "offline"),
        ("", "offline"),
    ],
)
def test_a_netrc_entry_for_the_server_counts_as_a_key(tmp_path: Path, text: str, mode: str) -> None:
    (tmp_path / ".netrc").write_text(text)
    assert choose_mode({"HOME": str(tmp_path)}) == mode
    (tmp_path / ".netrc").rename(tmp_path / "elsewhere")
    assert choose_mode({"HOME": str(tmp_path)}) == "offline"
    assert choose_mode({"HOME": "/", "NETRC": str(tmp_path / "elsewhere")}) == mode


def test_the_entry_is_looked_up_for_the_server_in_use(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine wandb.example.org login user password {KEY}\n")
    here = {"HOME": str(tmp_path)}
    assert choose_mode(here) == "offline"
    assert choose_mode({**here, "WANDB_BASE_URL": "https://wandb.example.org:8080"}) == "online"


def test_an_offline_writer_is_not_given_the_key() -> None:
    variables = {"WANDB_API_KEY": KEY, "WANDB_SERVICE": "1", "PATH": "/bin"}
    assert KEY not in writer_environment(variables, "offline").values()
    online = writer_environment(variables, "online")
    assert online["WANDB_API_KEY"] == KEY
    assert "WANDB_SERVICE" not in online
    assert online["PATH"] == "/bin"
