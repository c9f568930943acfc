"""What a repository on the Hugging Face hub holds, and which of its files is meant.

huggingface_hub asks. Its telemetry is switched off, and the token that it may have stored elsewhere
is not used: Rung's settings name the only one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from rung.config.settings import HubSettings
from rung.engines.locality import locality_of
from rung.errors import ModelError, UsageError
from rung.ledger.threads import off_loop
from rung.models.catalogue import (
    Bytes,
    CatalogueModel,
    HubSource,
    Sha256,
    id_from_file_name,
    validate_id,
)
from rung.models.redirects import followed
from rung.models.sources import HubFile, is_safe_path
from rung.models.transfer import PassingError, Patience, seconds_of

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi, ModelInfo

_SHOWN = 20
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_[A-Z]+)*|BF16|F16|F32))"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_ASKED: ContextVar[str] = ContextVar("_ASKED", default="")  # what this thread asks the hub for
_LISTING_TIMEOUT_S = 30.0
_LISTING_FAILURES = 3  # somebody waits for it, and nothing is lost yet


class RemoteGguf(msgspec.Struct, frozen=True, kw_only=True):
    """A gguf as the hub describes it."""

    path: str
    size_bytes: Bytes
    sha256: Sha256


class _Repository(msgspec.Struct, frozen=True):
    """A repository as it is at one commit."""

    revision: str
    files: Sequence[RemoteGguf]


async def describe_hub(
    wanted: HubFile, hub: HubSettings, patience: Patience, model_id: str | None = None
) -> CatalogueModel:
    """The wanted file as an entry that can be fetched. Without `model_id`, its name makes the id.

    Raises ModelError: no such repository, revision or file, no access, or several that match.
    """
    repository = await _listing(wanted, hub, patience)
    chosen = choose(wanted, repository.files)
    name = PurePosixPath(chosen.path)
    chosen_id = validate_id(model_id) if model_id else id_from_file_name(Path(name.name))
    return CatalogueModel(
        id=chosen_id,
        title=name.stem,
        parameters=0,
        quantization=quantization_of(chosen.path),
        context_tokens=0,
        file=f"{chosen_id}.gguf",
        size_bytes=chosen.size_bytes,
        sha256=chosen.sha256,
        source=HubSource(repo=wanted.repo, path=chosen.path, revision=repository.revision),
    )


def choose(wanted: HubFile, found: Sequence[RemoteGguf]) -> RemoteGguf:
    """The one file that is meant. Raises ModelError with the list, where it is none or several."""
    models = [file for file in found if not _is_projector(file.path)]
    if wanted.path:
        matching = [file for file in found if file.path == wanted.path]
    elif wanted.quantization:
        asked = wanted.quantization.upper()
        matching = [file for file in models if quantization_of(file.path).upper() == asked]
    else:
        matching = models
    if len(matching) == 1 and not _SPLIT.search(matching[0].path):
        return matching[0]
    shown = f"hf:{wanted.repo}"
    if matching and all(_SPLIT.search(file.path) for file in matching):
        raise ModelError(
            f"{shown}: {matching[0].path} is a part of a model that is split into several files, "
            "which Rung does not join: choose a quantisation that is one file, or join its parts "
            "with `llama-gguf-split --merge` and pull the result by its path"
        )
    if not models:
        raise ModelError(
            f"{shown} has no .gguf file: look for a repository whose name ends in GGUF"
        )
    what = wanted.path or wanted.quantization
    problem = f"{len(matching)} files match" if matching else f"there is no {what!r}"
    raise ModelError(
        f"{shown}: {problem}; name one of these:\n{_listed(matching or models, shown)}"
    )


def quantization_of(path: str) -> str:
    """`Q4_K_M` of `sub/Some-Model-Q4_K_M.gguf`, in its own case; empty where the name has none."""
    found = _QUANTIZATION.findall(PurePosixPath(path).stem)
    return found[-1] if found else ""


async def _listing(wanted: HubFile, hub: HubSettings, patience: Patience) -> _Repository:
    """The repository's files at the wanted revision; tried again after what may pass."""
    api = _api(hub)
    failures = 0
    while True:
        try:
            return await off_loop(
                lambda: _ask(api, wanted, hub, patience.stall_s),
                patience.stall_s + _LISTING_TIMEOUT_S,
            )
        except (PassingError, TimeoutError) as error:
            failures += 1
            if failures > min(patience.failures, _LISTING_FAILURES):
                raise ModelError(
                    f"hf:{wanted.repo}: {_place(hub)} did not answer: {error or 'too slow'}"
                ) from error
            asked_s = error.retry_after_s if isinstance(error, PassingError) else None
            await asyncio.sleep(patience.wait_s(failures, asked_s))


def _api(hub: HubSettings) -> HfApi:
    from huggingface_hub import HfApi, constants

    constants.HF_HUB_DISABLE_TELEMETRY = True
    where = locality_of(hub.url)
    if not hub.url.startswith("https://") and (
        where == "cloud" or (hub.token and where != "local") or not hub.url.startswith("http://")
    ):
        raise UsageError(
            f"hub.url {hub.url!r} must be an https:// address; without TLS, Rung asks only hubs of "
            "your own network, and sends no token to them"
        )
    return HfApi(
        endpoint=hub.url.rstrip("/"),
        token=str(hub.token) or False,
        library_name="rung",
        library_version=version("rung"),
    )


def _ask(api: HfApi, wanted: HubFile, hub: HubSettings, timeout_s: float) -> _Repository:
    """Blocks. What the library raises, as what the user can do about it."""
    import httpx2
    from huggingface_hub import errors

    shown = f"hf:{wanted.repo}"
    try:
        with _protected(shown):
            info = api.model_info(
                wanted.repo,
                revision=wanted.revision or None,
                files_metadata=True,
                timeout=timeout_s,
            )
        if not re.fullmatch(r"[0-9a-f]{40}", info.sha or ""):
            raise ModelError(f"{_place(hub)} names no commit for {wanted.repo}")
        return _Repository(info.sha or "", _ggufs(info))
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{shown} is gated: accept its terms at {hub.url.rstrip('/')}/{wanted.repo}, and set "
            "HF_TOKEN to a token that may read it"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{shown} has no revision {wanted.revision!r}") from error
    except errors.HFValidationError as error:
        raise ModelError(f"{shown} is no name of a repository: {error}") from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelError(f"{shown}: HF_HUB_OFFLINE is set; unset it to fetch from a hub") from error
    except errors.HfHubHTTPError as error:
        raise _refused(error.response, wanted, hub) from error
    except httpx2.HTTPError as error:
        raise PassingError(f"{type(error).__name__}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{shown}: {_place(hub)} does not answer as a hub does: {error}"
        ) from error


@contextmanager
def _protected(title: str) -> Generator[None]:
    """Redirects of this call never lose TLS.

    The library's client follows all of them and is shared with whoever else uses it here, so that
    the hook is kept to this call.
    """
    from huggingface_hub import get_session

    hooks = get_session().event_hooks["response"]
    if _check_redirect not in hooks:
        hooks.append(_check_redirect)
    token = _ASKED.set(title)
    try:
        yield
    finally:
        _ASKED.reset(token)


def _check_redirect(response: httpx2.Response) -> None:
    title = _ASKED.get()
    if title and response.has_redirect_location:
        followed(str(response.url), response.headers["Location"], title)


def _refused(
    response: httpx2.Response, wanted: HubFile, hub: HubSettings
) -> ModelError | PassingError:
    status = response.status_code
    if status in (401, 403, 404):
        secret = "with the token that is set" if hub.token else "without a token (set HF_TOKEN)"
        return ModelError(
            f"hf:{wanted.repo}: {_place(hub)} shows no such repository {secret}: it is misspelt, "
            "or private"
        )
    if status == 429 or status >= 500:
        return PassingError(f"it answered {status}", seconds_of(response.headers))
    return ModelError(f"hf:{wanted.repo}: {_place(hub)} answered {status}")


def _ggufs(info: ModelInfo) -> list[RemoteGguf]:
    """The files that can be fetched and verified: with a size and a SHA-256, under a safe name."""
    found: list[RemoteGguf] = []
    for file in info.siblings or []:
        if file.lfs is None or not file.rfilename.lower().endswith(".gguf"):
            continue
        facts = {"path": file.rfilename, "size_bytes": file.lfs.size, "sha256": file.lfs.sha256}
        with suppress(msgspec.ValidationError):
            if is_safe_path(file.rfilename):
                found.append(msgspec.convert(facts, RemoteGguf))
    return found


def _is_projector(path: str) -> bool:
    """Whether a gguf is no model but a part of one: its eyes, or the matrix it was quantised by."""
    return PurePosixPath(path).name.lower().startswith(("mmproj", "imatrix"))


def _listed(files: Sequence[RemoteGguf], shown: str) -> str:
    lines = [
        f"  {shown}/{file.path}  ({file.size_bytes / 1e9:.2f} GB)"
        for file in sorted(files, key=lambda file: file.size_bytes)
    ]
    more = [f"  … and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join(lines[:_SHOWN] + more)


def _place(hub: HubSettings) -> str:
    return hub.url.rstrip("/")
