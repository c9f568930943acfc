"""What `rung models pull SOURCE` names: one syntax for every place that a model can come from.

| SOURCE | is |
|---|---|
| `smollm2-135m` | a model of the catalogue, or one that is installed (to repair it) |
| `./model.gguf` | a file of this machine |
| `hf:ORG/REPO/FILE.gguf@REVISION` | a file of a repository on the Hugging Face hub |
| `hf:ORG/REPO:Q4_K_M` | the repository's one gguf of that quantisation |
| `ollama/qwen3:8b` | a model that the engine of that name downloads itself |

The embedded engine downloads nothing: `embedded/ID` and `local:ID` are the store's `ID`.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from rung.errors import ModelError

HUB_PREFIX = "hf:"
_REPO_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,127}")
_QUANTIZATION = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_PATH_PART = re.compile(r"[^/\\\x00-\x1f\x7f?#%]{1,255}")


class Named(msgspec.Struct, frozen=True):
    """A model of the catalogue or of the store."""

    id: str


class LocalFile(msgspec.Struct, frozen=True):
    """A gguf on this machine."""

    path: Path


class HubFile(msgspec.Struct, frozen=True, kw_only=True):
    """A gguf of a repository: by its path, or by its quantisation, or the only one there is."""

    repo: str
    path: str = ""
    quantization: str = ""
    revision: str = ""


class EngineModel(msgspec.Struct, frozen=True):
    """A model that an engine is to download."""

    engine: str
    model: str

    def __str__(self) -> str:
        return f"{self.engine}/{self.model}"


Wanted = Named | LocalFile | HubFile | EngineModel


def parse_source(text: str) -> Wanted:
    """What the text names. Raises ModelError that shows the form it should have."""
    if text.startswith(HUB_PREFIX):
        return _parse_hub(text)
    if text.endswith(".gguf"):
        return LocalFile(Path(text))
    text = text.removeprefix("local:").removeprefix("embedded/")
    engine, slash, model = text.partition("/")
    if slash and engine and model:
        return EngineModel(engine, model)
    return Named(text)


def is_safe_path(path: str) -> bool:
    """Whether a path of a repository is one that stays in it, however a server reads it."""
    parts = path.split("/")
    return all(_PATH_PART.fullmatch(part) and part not in (".", "..") for part in parts)


def _parse_hub(text: str) -> HubFile:
    place, at, revision = text.removeprefix(HUB_PREFIX).partition("@")
    place, colon, quantization = place.partition(":")
    org, _, rest = place.partition("/")
    name, slash, path = rest.partition("/")
    is_well_formed = (
        all(_REPO_PART.fullmatch(part) and ".." not in part for part in (org, name))
        and (not slash or (path.endswith(".gguf") and is_safe_path(path)))
        and (not colon or (not slash and _QUANTIZATION.fullmatch(quantization)))
        and (not at or (_REVISION.fullmatch(revision) and ".." not in revision))
    )
    if not is_well_formed:
        raise ModelError(
            f"{text!r} names nothing on the hub: write hf:ORG/REPO/FILE.gguf or "
            "hf:ORG/REPO:QUANTIZATION, such as hf:ORG/REPO:Q4_K_M, with @REVISION where it is not "
            "to be the newest"
        )
    return HubFile(repo=f"{org}/{name}", path=path, quantization=quantization, revision=revision)
