"""HTTP to one engine: connections, and their failures as `EngineError`."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Mapping
from pathlib import Path
from ssl import SSLError
from types import MappingProxyType
from typing import TypeVar

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from rung.chat import Cancellation, JsonObject
from rung.engines.deadline import Deadline
from rung.engines.failure import Origin, not_the_api, reported_error, response_error
from rung.engines.profiles import Reply
from rung.engines.ssh.tunnel import Tunnel
from rung.engines.wire import encoding
from rung.errors import EngineError

# llama.cpp and uvicorn drop idle connections after 5 s: a reused one must be younger.
KEEPALIVE_S = 4.0
CONNECT_TIMEOUT_S = 5.0
MAX_REPLY_BYTES = 8 * 1024 * 1024
# Failures of connecting: whatever was to be sent has not left this machine.
_BEFORE_SENDING = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

T = TypeVar("T")


class LoopbackResolver(AbstractResolver):
    """`localhost` is this machine, whatever a hosts file or a name server says (RFC 6761)."""

    def __init__(self) -> None:
        self._others = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost"):
            addresses = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
            return [
                ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)
                for address, kind in addresses
                if family in (socket.AF_UNSPEC, kind)
            ]
        return await self._others.resolve(host, port, family)

    async def close(self) -> None:
        await self._others.close()


class Connection:
    """The HTTP session of one engine; opened when it is first used.

    `is_kept` is false for a server that drops a connection after an answer without saying so.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        is_kept: bool = True,
        key_header: str = "Authorization",
        headers: Mapping[str, str] = NO_HEADERS,
        tunnel: Tunnel | None = None,
        proxy: str | None = None,
    ) -> None:
        self._origin = origin
        self._is_kept = is_kept
        self._key_header = key_header
        self._headers = headers
        self._tunnel = tunnel
        self._proxy = proxy
        self._base_url = (tunnel.url.base_url if tunnel else origin.base_url).rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    @property
    def opening_s(self) -> float:
        """How long its tunnel may still take to open."""
        return self._tunnel.opening_s if self._tunnel is not None else 0.0

    async def post(
        self,
        path: str,
        body: bytes,
        deadline: Deadline,
        origin: Origin,
        limit_s: float | None = None,
    ) -> aiohttp.ClientResponse:
        """The response once its head is there. Its body is the caller's to read and to close."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        session = await self._session_within(deadline)
        work = session.post(self._url(path), data=body, headers=headers, allow_redirects=False)
        return await awaited(work, origin, deadline, "the engine had not yet answered", limit_s)

    async def listen(self, route: str, deadline: Deadline) -> aiohttp.ClientResponse:
        """As `post`, of a stream of events that is there to be read."""
        session = await self._session_within(deadline)
        work = session.get(self._url(route), allow_redirects=False)
        return await awaited(work, self._origin, deadline, f"it was asked for {route}")

    async def get(self, route: str, timeout_s: float) -> Reply:
        """A whole reply, whatever its status. Raises `EngineError` where there is none."""
        return await self._exchange("GET", route, None, self._origin, timeout_s, None)

    async def ask(
        self,
        method: str,
        route: str,
        body: JsonObject | None,
        origin: Origin,
        timeout_s: float | None,
        cancel: Cancellation | None = None,
    ) -> JsonObject:
        """The JSON object of a 200, empty for an empty body. For all that is not an answer.

        `timeout_s` is for the engine: a tunnel that must be opened first has its own time on top.
        Raises `EngineError`.
        """
        reply = await self._exchange(method, route, body, origin, timeout_s, cancel)
        if reply.status != 200:
            raise response_error(origin, reply.status, reply.headers, reply.body)
        answer = reply.json
        if error := answer.get("error"):
            raise reported_error(origin, error, status=reply.status)
        if not answer and reply.body.strip():
            raise not_the_api(origin, reply.body, reply.status)
        return answer

    async def _exchange(
        self,
        method: str,
        route: str,
        body: JsonObject | None,
        origin: Origin,
        timeout_s: float | None,
        cancel: Cancellation | None,
    ) -> Reply:
        if timeout_s is not None:
            timeout_s += self.opening_s
        deadline = Deadline(origin, timeout_s, cancel)
        try:
            with encoding(origin):
                data = None if body is None else msgspec.json.encode(body)
            session = await self._session_within(deadline)
            work = session.request(
                method,
                self._url(route),
                data=data,
                headers=None if body is None else {"Content-Type": "application/json"},
                allow_redirects=False,
            )
            response = await awaited(work, origin, deadline, f"it was asked for {route}")
            try:
                seen = await read_at_most(response, MAX_REPLY_BYTES, origin, deadline)
            finally:
                response.close()
            return Reply(response.status, seen, response.headers)
        finally:
            deadline.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._tunnel is not None:
            await self._tunnel.close()

    def _url(self, route: str) -> str:
        """A route that begins with `/` belongs to the server's root, any other to `base_url`."""
        if not route.startswith("/"):
            return f"{self._base_url}/{route}"
        return self._base_url.removesuffix("/v1") + route

    async def _session_within(self, deadline: Deadline) -> aiohttp.ClientSession:
        """The session, once there is a way to the engine. Raises `EngineError`."""
        socket = await self._tunnel.socket(deadline) if self._tunnel is not None else None
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=self._connector(socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "rung", **self._headers, **self._authorization()},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                proxy=self._proxy,
                trust_env=False,
            )
        return self._session

    def _connector(self, socket: Path | None) -> aiohttp.BaseConnector:
        keepalive_s = KEEPALIVE_S if self._is_kept else None
        if socket is not None:
            return aiohttp.UnixConnector(
                str(socket),
                limit=0,
                force_close=not self._is_kept,
                keepalive_timeout=keepalive_s,
            )
        return aiohttp.TCPConnector(
            limit=0,
            resolver=LoopbackResolver(),
            force_close=not self._is_kept,
            keepalive_timeout=keepalive_s,
        )

    def _authorization(self) -> dict[str, str]:
        key = str(self._origin.secret or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise self._origin.error("unconfigured", "api_key has characters that no key may have")
        if not key:
            return {}
        is_bearer = self._key_header == "Authorization"
        return {self._key_header: f"Bearer {key}" if is_bearer else key}


async def awaited(
    work: Awaitable[T],
    origin: Origin,
    deadline: Deadline,
    doing: str,
    limit_s: float | None = None,
    since_s: float = 0.0,
) -> T:
    """The result of one wait for the network. Raises `EngineError`, nothing else."""
    try:
        return await deadline.wait(work, doing, limit_s, since_s=since_s)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        failure = connection_error(origin, error)
        failure.was_sent = not isinstance(error, _BEFORE_SENDING)
        raise failure from error


async def read_at_most(
    response: aiohttp.ClientResponse,
    limit: int,
    origin: Origin,
    deadline: Deadline,
    limit_s: float | None = None,
) -> bytes:
    """The body, cut at `limit` bytes, which must be there within `limit_s`."""
    body, started_at = bytearray(), time.monotonic()
    while len(body) < limit:
        read, passed_s = response.content.readany(), time.monotonic() - started_at
        piece = await awaited(read, origin, deadline, "the reply was coming in", limit_s, passed_s)
        if not piece:
            break
        body += piece
    return bytes(body[:limit])


def connection_error(origin: Origin, error: Exception) -> EngineError:
    """What a failed connection means. `error` is what aiohttp or the operating system raised."""
    at = origin.base_url
    advice = f"; {origin.advice}" if origin.advice else ""
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return origin.error(
                "unconfigured", f"base_url {at!r} is not a URL; it looks like {origin.usual_url}"
            )
        case aiohttp.ClientConnectorDNSError():
            return origin.error("unreachable", f"the host of {at} is not known; check base_url")
        case aiohttp.ClientSSLError() | SSLError():
            return origin.error("unreachable", f"no trusted TLS connection to {at}: {error}")
        case TimeoutError():
            return origin.error(
                "timeout", f"{at} does not accept connections within {CONNECT_TIMEOUT_S:g} s"
            )
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return origin.error(
                "unreachable", f"the system's proxy does not lead to {at}; check https_proxy"
            )
        case aiohttp.ClientConnectorError():
            return origin.error("unreachable", f"nothing answers at {at}{advice}")
        case aiohttp.ClientResponseError() | ValueError():
            return origin.error(
                "unreachable", f"{at} does not speak HTTP as an engine does: {error}"
            )
        case _:
            return origin.error(
                "unreachable", f"{at} closed the connection before its answer was complete"
            )
