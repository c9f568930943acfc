"""Where settings come from: defaults, user file, project file, environment, flags. Last wins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from rung.config.environment import environment
from rung.config.files import check_project, config_files
from rung.config.folders import data_folder
from rung.config.schema import (
    Key,
    Value,
    check_range,
    convert,
    dotted,
    entries_of,
    nearest,
    section_of,
    shown,
)
from rung.config.section import Section, field_types
from rung.config.settings import EngineSettings, ModelSettings, Secret, Settings
from rung.errors import ConfigError

LOCAL_ONLY = ("local_only",)
KNOWN_KINDS = ("lmstudio", "ollama", "vllm", "llamacpp", "openrouter", "anthropic")
T = TypeVar("T", bound=Section)

ALIASES: Mapping[str, Key] = {
    "RUNG_DATABASE_URL": ("ledger", "url"),
    "LM_STUDIO_BASE_URL": ("engines", "lmstudio", "base_url"),
    "LM_STUDIO_MODEL": ("engines", "lmstudio", "model"),
    "LM_STUDIO_TIMEOUT_SECONDS": ("engines", "lmstudio", "timeout_s"),
    "LM_STUDIO_ENABLED": ("engines", "lmstudio", "enabled"),
    "LM_STUDIO_HEALTH_ENDPOINT": ("engines", "lmstudio", "health_path"),
    "LM_STUDIO_API_KEY": ("engines", "lmstudio", "api_key"),
}


class Loaded(Section):
    """The settings, where each one came from, and the files that were looked for."""

    settings: Settings
    origins: Mapping[Key, str]
    files: tuple[Path, ...]

    def entries(self) -> Iterator[tuple[str, str, str]]:
        """Every leaf as (dotted key, printable value with secrets masked, origin)."""
        for key, value in _leaves(self.settings, ()):
            yield dotted(key), _printable(key, value), self.origins.get(key, "default")


def load(cwd: Path | None = None, flags: Mapping[Key, Any] | None = None) -> Loaded:
    """Read every source and return the settings. Raises ConfigError naming source, key and mend.

    Where any source sets `local_only`, no other can take it back.
    """
    files = config_files(cwd)
    user = _from_file(files[0], is_required=bool(environment().get("RUNG_CONFIG")))
    project = _from_file(files[1]) if len(files) > 1 else {}
    variables, given = _from_environment(environment()), _from_flags(flags or {})
    check_project(project, {**user, **variables, **given})
    found = {**user, **project, **variables, **given}
    for source in (user, project, variables, given):
        wish = source.get(LOCAL_ONLY)
        if wish is not None and wish.value:
            found[LOCAL_ONLY] = wish
    settings = _with_defaults(_build(Settings, (), found), found)
    return Loaded(
        settings=settings, origins={key: item.origin for key, item in found.items()}, files=files
    )


def _from_file(path: Path, *, is_required: bool = False) -> dict[Key, Value]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if is_required:
            raise ConfigError(f"RUNG_CONFIG names {path}, which does not exist") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    import tomllib

    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return _flatten(table, Settings, (), str(path))


def _from_environment(variables: Mapping[str, str]) -> dict[Key, Value]:
    found: dict[Key, Value] = {}
    for name, text in variables.items():
        key = ALIASES.get(name)
        if key is None and name.startswith("RUNG_") and name != "RUNG_CONFIG":
            key = tuple(part.lower() for part in name.removeprefix("RUNG_").split("__"))
        if key is not None:
            found |= _flatten(text, _type_at(key, name), key, name)
    switch = variables.get("USE_LM_STUDIO")
    if switch and not convert(switch, bool, "USE_LM_STUDIO"):
        found[("engines", "lmstudio", "enabled")] = Value(value=False, origin="USE_LM_STUDIO")
    return found


def _from_flags(flags: Mapping[Key, Any]) -> dict[Key, Value]:
    found: dict[Key, Value] = {}
    for key, value in flags.items():
        if value is not None:
            found |= _flatten(value, _type_at(key), key, "flag")
    return found


def _type_at(key: Key, variable: str | None = None) -> Any:
    """The type of the setting at `key`; ConfigError names the nearest where there is none."""
    kind: Any = Settings
    for depth, part in enumerate(key):
        section = section_of(kind)
        if section is not None:
            types = field_types(section)
            if part not in types:
                where = variable or dotted(key)
                raise ConfigError(f"{where}: unknown key {part!r}; {nearest(part, types)}")
            kind = types[part]
        elif (inner := entries_of(kind)) is not None:
            kind = inner
        else:
            raise ConfigError(f"{variable or dotted(key)}: {dotted(key[:depth])} has no parts")
    return kind


def _flatten(value: object, kind: Any, key: Key, origin: str) -> dict[Key, Value]:
    """A table as leaves, each checked against its type."""
    where = f"{origin}: {dotted(key)}" if key else origin
    section, inner = section_of(kind), entries_of(kind)
    if section is None and inner is None:
        return {key: Value(value=convert(value, kind, where), origin=origin)}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a table, got {shown(value)}")
    found: dict[Key, Value] = {}
    for name, item in cast("dict[str, object]", value).items():
        if section is not None:
            types = field_types(section)
            if name not in types:
                raise ConfigError(f"{where}: unknown key {name!r}; {nearest(name, types)}")
            found |= _flatten(item, types[name], (*key, name), origin)
        else:
            found |= _flatten(item, inner, (*key, name), origin)
    return found


def _build(cls: type[T], key: Key, found: Mapping[Key, Value]) -> T:
    given: dict[str, Any] = {}
    for name, kind in field_types(cls).items():
        here = (*key, name)
        section, inner = section_of(kind), entries_of(kind)
        if section is not None:
            given[name] = _build(section, here, found)
        elif inner is not None:
            names = dict.fromkeys(k[len(here)] for k in found if k[: len(here)] == here)
            given[name] = {
                entry: _build(inner, (*here, entry), found)
                if section_of(inner)
                else found[(*here, entry)].value
                for entry in names
            }
        elif here in found:
            item = found[here]
            check_range(item.value, cls.ranges.get(name), f"{item.origin}: {dotted(here)}")
            given[name] = item.value
    return cls(**given)


def _with_defaults(settings: Settings, found: dict[Key, Value]) -> Settings:
    """Fill in what depends on other settings: folders, engine kinds, keys kept in variables."""
    data_dir = settings.data_dir if ("data_dir",) in found else data_folder()
    models_dir = settings.models_dir if ("models_dir",) in found else data_dir / "models"
    engines = {
        name: _completed_engine(name, engine, found) for name, engine in settings.engines.items()
    }
    hub = settings.hub
    if not hub.token:
        hub = hub.replaced(token=Secret(environment().get(hub.token_env, "")))
    return settings.replaced(
        data_dir=data_dir,
        models_dir=models_dir,
        engines=engines,
        models=_whole_names(settings.models, engines, found),
        hub=hub,
    )


def _whole_names(
    models: Mapping[str, ModelSettings],
    engines: Mapping[str, EngineSettings],
    found: dict[Key, Value],
) -> dict[str, ModelSettings]:
    """The models by the names that their engines list: to Ollama, `qwen3` is `qwen3:latest`."""
    whole: dict[str, ModelSettings] = {}
    for name, settings in models.items():
        engine, _, model = name.partition("/")
        kind = engines[engine].kind if engine in engines else engine
        is_short = kind == "ollama" and model and ":" not in model.rpartition("/")[2]
        whole[f"{name}:latest" if is_short else name] = settings
        if is_short:
            for key in [key for key in found if key[:2] == ("models", name)]:
                found[("models", f"{name}:latest", *key[2:])] = found[key]
    return whole


def _completed_engine(name: str, engine: EngineSettings, found: dict[Key, Value]) -> EngineSettings:
    key = ("engines", name)
    if name == "embedded":
        origin = next(item.origin for known, item in found.items() if known[:2] == key)
        raise ConfigError(
            f"{origin}: {dotted(key)}: this name is the embedded engine's; its settings stand "
            "under [embedded]; give this engine another name"
        )
    if (*key, "kind") not in found and name in KNOWN_KINDS:
        engine = engine.replaced(kind=cast("Any", name))
        found[(*key, "kind")] = Value(value=name, origin="the engine's name")
    if engine.base_url and not engine.base_url.startswith(("http://", "https://", "ssh://")):
        raise ConfigError(
            f"{found[(*key, 'base_url')].origin}: {dotted((*key, 'base_url'))}: "
            f"{engine.base_url!r} must start with http://, https:// or ssh://"
        )
    if not engine.api_key and engine.api_key_env:
        secret = environment().get(engine.api_key_env, "")
        engine = engine.replaced(api_key=Secret(secret))
        found[(*key, "api_key")] = Value(value=secret, origin=engine.api_key_env)
    return engine


def _leaves(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, Section):
        for name, item in value.values().items():
            yield from _leaves(item, (*key, name))
    elif isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield from _leaves(item, (*key, name))
    else:
        yield key, value


def _printable(key: Key, value: Any) -> str:
    if isinstance(value, Secret):
        return "********" if value else '""'
    if key == ("ledger", "url") and "@" in str(value):
        scheme, _, rest = str(value).partition("://")
        return f'"{scheme}://********@{rest.rpartition("@")[2]}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{part}"' for part in cast("tuple[str, ...]", value)) + "]"
    if value is None:
        return "unset"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
