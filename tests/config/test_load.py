"""Settings: sources in order, clear errors, nothing secret shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rung.config.load import config_files, load
from rung.config.schema import entries_of, section_of
from rung.config.section import Section, field_types
from rung.config.settings import Secret, Settings
from rung.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder, with the user's own folder beside it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (tmp_path / "user" / "rung").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def user_file(project: Path) -> Path:
    return project.parent / "user" / "rung" / "rung.toml"


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def test_the_last_source_wins_and_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = user_file(project)
    write(user, "[embedded]\ncontext_tokens = 1024\nslots = 2\nthreads = 3\n")
    write(project / "rung.toml", "[embedded]\ncontext_tokens = 2048\nslots = 4\n")
    monkeypatch.setenv("RUNG_EMBEDDED__SLOTS", "8")
    loaded = load(flags={("local_only",): True})
    assert loaded.settings.embedded.threads == 3
    assert loaded.settings.embedded.context_tokens == 2048
    assert loaded.settings.embedded.slots == 8
    assert loaded.settings.local_only
    origins = {key: origin for key, _, origin in loaded.entries()}
    assert origins["embedded.threads"] == str(user)
    assert origins["embedded.context_tokens"] == str(project / "rung.toml")
    assert origins["embedded.slots"] == "RUNG_EMBEDDED__SLOTS"
    assert origins["local_only"] == "flag"
    assert origins["embedded.cache_mib"] == "default"


def test_the_project_file_is_found_from_a_folder_below(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "rung.toml", 'app = "mine"\n')
    (project / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(project / "a" / "b")
    assert load().settings.app == "mine"


def test_a_file_above_the_git_project_is_not_read(project: Path) -> None:
    write(project.parent / "rung.toml", 'app = "stranger"\n')
    assert load().settings.app == "rung"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[embeded]\nslots = 1\n", ["unknown key 'embeded'", "did you mean 'embedded'"]),
        ("[embedded]\nslot = 1\n", ["embedded", "unknown key 'slot'", "did you mean 'slots'"]),
        ("[engines.x]\nbase = 'http://h/v1'\n", ["engines.x", "did you mean 'base_url'"]),
        ("[embedded]\nslots = 'many'\n", ["embedded.slots", "expected a whole number", "'many'"]),
        ("[embedded]\nslots = 0\n", ["embedded.slots", "out of range", "1 to 64"]),
        ("[embedded]\nenabled = 'perhaps'\n", ["embedded.enabled", "true or false"]),
        ("[ledger]\nstore_content = 'some'\n", ["store_content", "off, hash, truncated, full"]),
        ("embedded = 3\n", ["embedded", "expected a table"]),
        ("[matrix.standard]\nchain = 'local_fast'\n", []),
        ("[matrix.standard]\nchain = [1, 2]\n", ["matrix.standard.chain", "list of texts"]),
        ("[engines.x]\nbase_url = 'localhost:1234'\n", ["engines.x.base_url", "http://"]),
        ("slots = \n", ["not valid TOML"]),
        (f"[embedded]\nslots = {'9' * 5000}\n", ["not valid TOML"]),
        ("[models.'a/b']\nusd_per_mtok_in = -1\n", ["usd_per_mtok_in", "0 to 1e+06"]),
        ("[models.'a/b']\nusd_per_mtok_out = nan\n", ["usd_per_mtok_out", "not finite"]),
        ("[models.'a/b']\ncontext_tokens = 0\n", ["context_tokens", "out of range"]),
        ("[embedded]\ntimeout_s = inf\n", ["embedded.timeout_s", "not finite"]),
        (f"[embedded]\ntimeout_s = {'9' * 400}\n", ["embedded.timeout_s", "not finite"]),
        (f"[embedded]\ntimeout_s = 0x{'f' * 9000}\n", ["embedded.timeout_s", "a huge int"]),
        (f"[tiers]\nmine = {'9' * 400}\n", ["tiers.mine", "beyond"]),
        ("data_dir = '~nobody-of-this-name/x'\n", ["data_dir", "write the whole path"]),
        ("[engines.embedded]\nmodel = 'x'\n", ["engines.embedded", "another name"]),
    ],
)
def test_a_wrong_file_is_an_error_that_names_file_key_and_mend(
    project: Path, text: str, words: list[str]
) -> None:
    path = user_file(project)
    write(path, text)
    if not words:
        assert load().settings.matrix["standard"].chain == ("local_fast",)
        return
    with pytest.raises(ConfigError) as error:
        load()
    assert str(path) in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_file_that_is_not_text_is_an_error(project: Path) -> None:
    (project / "rung.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load()


def test_a_file_with_a_byte_order_mark_is_read(project: Path) -> None:
    (project / "rung.toml").write_bytes(b'\xef\xbb\xbfapp = "mine"\n')
    assert load().settings.app == "mine"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("USE_LM_STUDIO", "fales", "USE_LM_STUDIO: expected true or false, got 'fales'"),
        ("RUNG_DATA_DIR", "~nobody-of-this-name/x", "RUNG_DATA_DIR.*whole path"),
        ("RUNG_CONFIG", "~nobody-of-this-name/x", "RUNG_CONFIG.*whole path"),
        ("LM_STUDIO_TIMEOUT_SECONDS", "nan", "LM_STUDIO_TIMEOUT_SECONDS.*not finite"),
        ("RUNG_EMBEDDED__SLOTS", "9" * 5000, "RUNG_EMBEDDED__SLOTS.*whole number"),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it_and_what_it_takes(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        load()


def test_an_empty_name_of_a_config_file_is_as_none(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_CONFIG", "")
    assert load().settings.app == "rung"


def test_an_unknown_variable_names_the_nearest_key(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_EMBEDDED__CONTEXT", "9")
    with pytest.raises(ConfigError, match=r"RUNG_EMBEDDED__CONTEXT.*context_tokens"):
        load()


def test_the_lm_studio_variables_work(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STUDIO_BASE_URL", "http://127.0.0.1:9999/v1")
    monkeypatch.setenv("LM_STUDIO_MODEL", "qwen3-30b")
    monkeypatch.setenv("LM_STUDIO_TIMEOUT_SECONDS", "45")
    monkeypatch.setenv("LM_STUDIO_HEALTH_ENDPOINT", "/health")
    engine = load().settings.engines["lmstudio"]
    assert (engine.kind, engine.base_url) == ("lmstudio", "http://127.0.0.1:9999/v1")
    assert (engine.model, engine.timeout_s) == ("qwen3-30b", 45.0)
    assert engine.health_path == "/health"
    assert engine.enabled


@pytest.mark.parametrize(
    ("name", "value", "is_enabled"),
    [
        ("USE_LM_STUDIO", "0", False),
        ("LM_STUDIO_ENABLED", "false", False),
        ("USE_LM_STUDIO", "1", True),
    ],
)
def test_lm_studio_can_be_switched_off(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, is_enabled: bool
) -> None:
    monkeypatch.setenv("LM_STUDIO_MODEL", "m")
    monkeypatch.setenv(name, value)
    assert load().settings.engines["lmstudio"].enabled is is_enabled


def test_no_secret_is_ever_printed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-from-variable")
    write(
        user_file(project),
        "[engines.a]\nbase_url = 'http://h/v1'\napi_key = 'sk-in-file'\n"
        "[engines.b]\nbase_url = 'http://h/v1'\napi_key_env = 'MY_KEY'\n"
        "[ledger]\nurl = 'postgresql://me:hunter2@db/rung'\n",
    )
    loaded = load()
    shown = "\n".join(" ".join(entry) for entry in loaded.entries())
    for secret in ("sk-in-file", "sk-from-variable", "hunter2"):
        assert secret not in shown
        assert secret not in repr(loaded.settings.engines)
    assert loaded.settings.engines["b"].api_key == "sk-from-variable"
    assert "MY_KEY" in shown


def test_a_config_file_that_is_named_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_CONFIG", "/nowhere/rung.toml")
    with pytest.raises(ConfigError, match="does not exist"):
        load()


def test_a_named_config_file_is_the_only_one(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "rung.toml", 'app = "project"\n')
    write(tmp_path / "only.toml", "local_only = true\n")
    monkeypatch.setenv("RUNG_CONFIG", str(tmp_path / "only.toml"))
    assert config_files() == (tmp_path / "only.toml",)
    assert load().settings.app == "rung"


def test_settings_are_frozen_and_copied_with_changes() -> None:
    settings = load().settings
    with pytest.raises(AttributeError, match="frozen"):
        settings.app = "other"  # type: ignore[misc]
    with pytest.raises(TypeError, match="has no apps"):
        settings.replaced(apps="other")
    assert settings.replaced(app="other").app == "other"
    assert settings.replaced(app="other") != settings
    assert settings.replaced() == settings


def test_a_secret_masks_itself() -> None:
    assert repr(Secret("sk-123")) == "'********'"
    assert repr(Secret("")) == "''"


def names_of(section: type[Section]) -> Iterator[str]:
    for name, kind in field_types(section).items():
        yield name
        inner = section_of(kind) or section_of(entries_of(kind))
        if inner is not None:
            yield from names_of(inner)


def test_every_setting_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert set(names_of(Settings)) - set(re.findall(r"\w+", page)) == set()


def test_a_model_of_ollama_without_a_tag_is_its_latest(project: Path) -> None:
    text = '[engines.box]\nkind = "ollama"\nbase_url = "http://10.0.0.2:11434"\n'
    text += '[models."box/qwen3"]\npinned = true\n[models."box/qwen3:8b"]\ntier = "local_fast"\n'
    text += '[models."lmstudio/acme/tiny"]\ntier = "local_fast"\n'
    write(user_file(project), text)
    loaded = load()
    assert set(loaded.settings.models) == {"box/qwen3:latest", "box/qwen3:8b", "lmstudio/acme/tiny"}
    assert loaded.settings.models["box/qwen3:latest"].pinned
    origins = {key: origin for key, _, origin in loaded.entries()}
    assert origins['models."box/qwen3:latest".pinned'] == str(user_file(project))
