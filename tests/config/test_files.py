"""A project's file may be a stranger's: it is found with care, and set only what it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rung.config.files import config_files, ignored_file
from rung.config.load import load
from rung.errors import ConfigError


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, not yet there; the current folder is a Git project."""
    (tmp_path / "project" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    path = tmp_path / "home" / "config" / "rung" / "rung.toml"
    path.parent.mkdir(parents=True)
    return path


FOR_THE_USER = [
    ("[engines.lmstudio]\nbase_url = 'http://h/v1'\n", "engines.lmstudio.base_url"),
    ("[models.'a/b']\nusd_per_mtok_in = 0\n", 'models."a/b".usd_per_mtok_in'),
    ("[ledger]\nurl = 'off'\n", "ledger.url"),
    ("data_dir = '/x'\n", "data_dir"),
    ("models_dir = '/x'\n", "models_dir"),
    ("[sandbox]\npython = '/x'\n", "sandbox.python"),
    ("[escalation]\npaid = 'allow'\n", "escalation.paid"),
    ("[escalation]\ntask_budget_usd = 5\n", "escalation.task_budget_usd"),
    ("[escalation]\nwarn_usd = 5\n", "escalation.warn_usd"),
    ("[escalation.paid_tiers]\nhaiku = 'allow'\n", "escalation.paid_tiers.haiku"),
]


@pytest.mark.parametrize(("text", "key"), FOR_THE_USER)
def test_what_is_the_users_is_refused_in_a_project_by_key_and_taken_elsewhere(
    user: Path, monkeypatch: pytest.MonkeyPatch, text: str, key: str
) -> None:
    project = Path("rung.toml").absolute()
    project.write_text(text)
    with pytest.raises(ConfigError) as error:
        load()
    for words in (str(project), key, str(user), "RUNG_CONFIG"):
        assert words in str(error.value)
    monkeypatch.setenv("RUNG_CONFIG", str(project))
    assert load()
    monkeypatch.delenv("RUNG_CONFIG")
    project.rename(user)
    assert load()


def test_a_project_may_set_its_matrix_its_limits_and_the_embedded_model(user: Path) -> None:
    Path("rung.toml").write_text(
        "app = 'mine'\nlocal_only = true\n[embedded]\nslots = 2\n[matrix.standard]\n"
        "attempts_per_rung = 3\n[escalation]\npaid = 'deny'\ntask_budget_usd = 0.5\n"
        "[tiers]\nmine = 7\n[ledger]\nstore_content = 'off'\n"
    )
    settings = load().settings
    assert (settings.app, settings.embedded.slots, settings.tiers) == ("mine", 2, {"mine": 7})
    assert (settings.escalation.paid, settings.escalation.task_budget_usd) == ("deny", 0.5)


def test_a_project_may_spend_and_ask_no_more_than_the_user_allows(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write_text("[escalation]\npaid = 'deny'\ntask_budget_usd = 9\n")
    Path("rung.toml").write_text("[escalation]\ntask_budget_usd = 8\n")
    assert load().settings.escalation.task_budget_usd == 8
    Path("rung.toml").write_text("[escalation]\npaid = 'ask'\n")
    with pytest.raises(ConfigError, match="may not loosen 'deny'"):
        load()
    monkeypatch.setenv("RUNG_ESCALATION__PAID", "ask")
    assert load().settings.escalation.paid == "ask"


def test_a_project_may_tighten_each_budget_and_loosen_none(user: Path) -> None:
    user.write_text(
        "[budget]\nday_usd = 5\n[budget.types.standard]\nday_usd = 1\n"
        "[escalation]\npaid = 'allow'\ntask_tokens = 1000\n"
        "[escalation.paid_tiers]\nopus = 'deny'\nhaiku = 'ask'\n"
    )
    Path("rung.toml").write_text(
        "[budget]\nday_usd = 4\nmonth_usd = 9\nday_tokens = 7\n[budget.types.standard]\n"
        "day_usd = 0.5\n[budget.apps.rung]\nday_attempts = 3\n[escalation]\ntask_tokens = 999\n"
        "[escalation.paid_tiers]\nsonnet = 'ask'\nhaiku = 'deny'\n"
    )
    settings = load().settings
    assert (settings.budget.day_usd, settings.budget.month_usd) == (4, 9)
    assert settings.budget.types["standard"].day_usd == 0.5
    assert settings.budget.apps["rung"].day_attempts == 3
    assert settings.escalation.task_tokens == 999
    assert settings.escalation.paid_tiers == {"opus": "deny", "haiku": "deny", "sonnet": "ask"}
    for text in (
        "[budget]\nday_usd = 5.01\n",
        "[budget.types.standard]\nday_usd = 1.01\n",
        "[escalation]\ntask_tokens = 1001\n",
        "[escalation.paid_tiers]\nopus = 'ask'\n",
        "[escalation.paid_tiers]\nhaiku = 'allow'\n",
    ):
        Path("rung.toml").write_text(text)
        with pytest.raises(ConfigError, match="a project may not"):
            load()


@pytest.mark.parametrize("source", ["user", "project", "variable", "flag"])
def test_local_only_set_anywhere_is_not_taken_back_and_names_who_set_it(
    user: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    wish = {name: str(name == source).lower() for name in ("user", "project", "variable", "flag")}
    user.write_text(f"local_only = {wish['user']}\n")
    Path("rung.toml").write_text(f"local_only = {wish['project']}\n")
    monkeypatch.setenv("RUNG_LOCAL_ONLY", wish["variable"])
    loaded = load(flags={("local_only",): source == "flag"})
    origins = {
        "user": str(user),
        "project": str(Path("rung.toml").absolute()),
        "variable": "RUNG_LOCAL_ONLY",
        "flag": "flag",
    }
    assert loaded.settings.local_only
    assert loaded.origins[("local_only",)] == origins[source]


def test_outside_a_git_project_no_folder_above_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "plain" / "below"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    (tmp_path / "plain" / "rung.toml").write_text("app = 'above'\n")
    assert load().settings.app == "rung"
    (here / "rung.toml").write_text("app = 'here'\n")
    assert load().settings.app == "here"


def test_the_users_own_file_is_no_project_in_its_own_folder(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write_text("data_dir = '/x'\n")
    monkeypatch.chdir(user.parent)
    assert config_files() == (user,)
    assert load()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_project_file_of_another_user_is_not_read(user: Path) -> None:
    path = Path("rung.toml").absolute()
    path.write_text("app = 'stranger'\n")
    assert ignored_file() is None
    os.chown(path, 12345, -1)
    assert load().settings.app == "rung"
    assert (config_files(), ignored_file()) == ((user,), path)
