"""One file over HTTP: resumed from the bytes on disk, patient with networks, never past its size.

Rung's own and not huggingface_hub's, whose download blocks a thread, cannot be paused or cancelled,
and starts anew after a crash unless it runs in the library's cache.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from rung.config.environment import system_proxy
from rung.errors import ModelError
from rung.models.progress import Meter, in_thread
from rung.models.redirects import followed, origin

if TYPE_CHECKING:
    import aiohttp

# aiohttp throws away what it has read and not yet handed over when a connection breaks: up to twice
# this is fetched again then.
_CHUNK = 1 << 17
_MOST_REDIRECTS = 5
_REAL_PROGRESS_BYTES = 1 << 20
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a transfer waits for a byte, and how often it is taken up again without progress."""

    connect_s: float = 15.0
    stall_s: float = 30.0
    failures: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    engine_stall_s: float = 600.0  # an engine that downloads itself; its own limit may be shorter
    engine_check_s: float = 1800.0  # and once it has all bytes, and reads them again

    def wait_s(self, failures: int, asked_s: float | None = None) -> float:
        """Seconds before the next try: doubling, a little random, or as the server asks."""
        wait = min(self.longest_wait_s, self.first_wait_s * 2 ** (failures - 1))
        wait *= 0.75 + random.random() / 2  # noqa: S311 - to spread load, not to keep a secret
        return wait if asked_s is None else min(max(wait, asked_s), 10 * self.longest_wait_s)


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch. `headers` go to the host of `url` and to no other. Not to be printed."""

    url: str
    headers: Mapping[str, str]
    size_bytes: int
    title: str


class PassingError(Exception):
    """A failure that may be gone next time. `retry_after_s` is what the server asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def _ignore(_: str) -> None:
    pass


async def transfer(
    remote: Remote,
    target: Path,
    patience: Patience,
    on_problem: Callable[[str], None] = _ignore,
) -> None:
    """Bring `remote` into `target`, going on after the bytes that are there.

    `on_problem` hears of each failure after which it is tried again.
    Raises ModelError where the server refuses, or fails too often without progress; OSError where
    the disk does. What has come stays in `target` for the next time.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=patience.connect_s, sock_read=patience.stall_s
    )
    failures, farthest = 0, size_of(target)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        while size_of(target) < remote.size_bytes:
            failure = await _attempt(session, remote, target, patience)
            here = size_of(target)
            if failure is None:
                continue
            if here - farthest >= _REAL_PROGRESS_BYTES:
                failures = 0
            failures, farthest = failures + 1, max(here, farthest)
            if failures > patience.failures:
                raise ModelError(
                    f"{remote.title}: the download failed {failures} times without progress, at "
                    f"{here:,} of {remote.size_bytes:,} bytes: {failure}. What has come is kept"
                )
            wait_s = patience.wait_s(failures, failure.retry_after_s)
            on_problem(f"{failure}; trying again in {wait_s:.0f} s")
            await asyncio.sleep(wait_s)


def size_of(path: Path) -> int:
    """Bytes of a file; none where it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def etag_file(target: Path) -> Path:
    """Where the version of the file that `target` is a part of is kept."""
    return target.with_suffix(".etag")


def discard(target: Path) -> None:
    """Delete what has come so far."""
    etag_file(target).unlink(missing_ok=True)
    target.unlink(missing_ok=True)


async def _attempt(
    session: aiohttp.ClientSession, remote: Remote, target: Path, patience: Patience
) -> PassingError | None:
    """Fetch what is missing; return why it is still missing, or `None` where it is not."""
    import aiohttp

    try:
        response = await _ask(session, remote, target)
        try:
            await _receive(response, remote, target)
        finally:
            response.close()
    except PassingError as error:
        return error
    except TimeoutError:
        return PassingError(f"nothing came in time ({patience.stall_s:g} s)")
    except aiohttp.ClientSSLError as error:
        host = urlsplit(remote.url).hostname
        raise ModelError(f"{remote.title}: no trusted connection to {host}: {error}") from error
    except aiohttp.ClientConnectorError as error:
        return PassingError(f"{error.host} cannot be reached ({error.os_error.strerror or error})")
    except aiohttp.ClientError as error:
        return PassingError(f"the connection broke ({type(error).__name__})")
    if size_of(target) < remote.size_bytes:
        return PassingError("the server ended the file early")
    return None


async def _ask(
    session: aiohttp.ClientSession, remote: Remote, target: Path
) -> aiohttp.ClientResponse:
    """The response that carries the bytes after those that `target` has, or all of them.

    `target` is emptied where the server has another version, or cannot send a part of a file.
    """
    headers = {"Accept-Encoding": "identity", **_range_headers(target)}
    response = await _follow(session, remote, headers)
    if response.status in (200, 206):
        if response.status == 200 or not _continues(response, target, remote.size_bytes):
            discard(target)
        if response.status == 206 and "Range" in headers and not size_of(target):
            response.close()
            raise PassingError("the file changed at the server")
        etag_file(target).write_text(_etag(response), encoding="ascii")
        return response
    response.close()
    if response.status == 416:
        discard(target)
        raise PassingError("the server has fewer bytes of the file than are here")
    raise _refusal(response, remote)


def _range_headers(target: Path) -> dict[str, str]:
    """The request for the rest of the file, and of the same version (RFC 9110, 13.1.5)."""
    have = size_of(target)
    if not have:
        return {}
    etag = _stored_etag(target)
    headers = {"Range": f"bytes={have}-"}
    return {**headers, "If-Range": etag} if etag.startswith('"') else headers


def _stored_etag(target: Path) -> str:
    try:
        return etag_file(target).read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _etag(response: aiohttp.ClientResponse) -> str:
    etag = response.headers.get("ETag", "")
    return etag if etag.isascii() else ""


def _continues(response: aiohttp.ClientResponse, target: Path, size_bytes: int) -> bool:
    """Whether a 206 goes on exactly where `target` ends, in the same version of the file."""
    have = size_of(target)
    wanted = f"bytes {have}-{size_bytes - 1}/{size_bytes}"
    known, now = _stored_etag(target), _etag(response)
    return response.headers.get("Content-Range", "") == wanted and known in ("", now)


async def _follow(
    session: aiohttp.ClientSession, remote: Remote, headers: Mapping[str, str]
) -> aiohttp.ClientResponse:
    """The answer behind the redirects. The hub's headers go to the hub alone."""
    url = remote.url
    for _ in range(_MOST_REDIRECTS + 1):
        is_hub = origin(url) == origin(remote.url)
        response = await session.get(
            url,
            headers={**headers, **remote.headers} if is_hub else headers,
            allow_redirects=False,
            proxy=system_proxy(url),
            read_bufsize=_CHUNK,
        )
        if response.status not in _REDIRECTS:
            return response
        response.close()
        url = followed(url, response.headers.get("Location", ""), remote.title)
    raise ModelError(f"{remote.title}: more than {_MOST_REDIRECTS} redirects")


def _refusal(response: aiohttp.ClientResponse, remote: Remote) -> ModelError | PassingError:
    host, status = urlsplit(str(response.url)).hostname, response.status
    if status in _PASSING_STATUSES:
        return PassingError(f"{host} answered {status}", seconds_of(response.headers))
    if status in (401, 403):
        return ModelError(
            f"{remote.title}: {host} refuses access ({status}). Where the repository is gated, "
            "accept its terms on the hub's page, and set HF_TOKEN to a token that may read it"
        )
    if status in (404, 410):
        return ModelError(f"{remote.title}: {host} does not have it any more ({status})")
    return ModelError(f"{remote.title}: {host} answered {status}")


def seconds_of(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` asks for, where it is a number of seconds."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None


async def _receive(response: aiohttp.ClientResponse, remote: Remote, target: Path) -> None:
    """Append the body to `target`, off the event loop: a disk that is busy blocks its writers."""
    fd = await asyncio.to_thread(os.open, target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        left = remote.size_bytes - size_of(target)
        async for chunk in response.content.iter_chunked(_CHUNK):
            left -= len(chunk)
            if left < 0:
                discard(target)
                raise ModelError(
                    f"{remote.title}: the server sends more than the {remote.size_bytes:,} bytes "
                    "that the hub states; nothing was installed"
                )
            await in_thread(lambda _, chunk=chunk: _write(fd, chunk), Meter())
    finally:
        os.close(fd)


def _write(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
