"""`ssh://USER@HOST[:PORT]/[[REMOTE_HOST:]REMOTE_PORT][/PATH]`: an engine behind SSH, as a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rung.errors import UsageError

SCHEME = "ssh://"
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:]+(%[A-Za-z0-9]+)?")
_PLACE = re.compile(r"/(?:(?P<host>[A-Za-z0-9_.-]+):)?(?P<port>\d{1,5})(?=/|$)")


@dataclass(frozen=True, kw_only=True)
class SshUrl:
    """Where to log in, and what to reach from there. `base_url` is the engine's as seen there."""

    host: str
    user: str | None
    port: int | None
    remote_host: str
    remote_port: int
    path: str

    @property
    def destination(self) -> str:
        """`user@host`, or `host`, as `ssh` takes it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def remote(self) -> str:
        return f"{self.remote_host}:{self.remote_port}"

    @property
    def base_url(self) -> str:
        return f"http://{self.remote}{self.path}"


def parse_ssh_url(url: str, default: str) -> SshUrl:
    """The parts of `url`; `default` is the engine's base URL on its own machine, for what is left
    out: `ssh://me@mini/` is port 1234 of that machine for LM Studio.

    Raises `UsageError`. Names that `ssh` could take for options are refused.
    """
    own = urlsplit(default)
    try:
        parts = urlsplit(url)
        host, user, port = parts.hostname or "", parts.username, parts.port
    except ValueError as error:
        raise _bad(url, str(error)) from None
    if parts.password is not None:
        raise _bad(url, "a password cannot stand in it; use a key or an SSH agent")
    if parts.query or parts.fragment:
        raise _bad(url, "it takes no ? and no #")
    if not _HOST.fullmatch(host) or (user is not None and not _USER.fullmatch(user)):
        raise _bad(url, "its user or host is not a name that ssh takes")
    place = _PLACE.match(parts.path)
    path = parts.path[place.end() :] if place else parts.path
    remote_port = int(place["port"]) if place else own.port
    if remote_port is None or not 0 < remote_port < 65_536:
        raise _bad(url, "it names no port of the engine, such as /1234, and its kind has no own")
    return SshUrl(
        host=host,
        user=user,
        port=port,
        remote_host=(place["host"] if place else None) or "127.0.0.1",
        remote_port=remote_port,
        path=path.rstrip("/") or own.path,
    )


def _bad(url: str, why: str) -> UsageError:
    shown = re.sub(r"//[^/@]*@", "//…@", url)
    return UsageError(
        f"base_url {shown!r}: {why}; it looks like ssh://USER@HOST/ or ssh://USER@HOST/1234/v1"
    )
