"""Which redirects of a hub may be followed: none that loses the protection of TLS."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from rung.engines.locality import locality_of
from rung.errors import ModelError


def followed(url: str, location: str, title: str) -> str:
    """Where a redirect leads. Raises ModelError where it may not be followed."""
    following = _joined(url, location)
    if following is None or not may_follow(url, following):
        raise ModelError(
            f"{title}: {urlsplit(url).hostname} redirects to an unprotected address, "
            "or to none, which is refused"
        )
    return following


def _joined(url: str, location: str) -> str | None:
    try:
        following = urljoin(url, location)
        parts = urlsplit(following)
        return following if parts.hostname and parts.port != 0 else None
    except ValueError:  # an address in half a pair of brackets, or a port that is no number
        return None


def may_follow(url: str, following: str) -> bool:
    """To TLS always; from TLS to none never; without it only to the same server, or on loopback."""
    schemes = urlsplit(url).scheme, urlsplit(following).scheme
    if schemes[1] == "https":
        return True
    is_near = locality_of(url) == locality_of(following) == "local"
    return schemes == ("http", "http") and (is_near or origin(url) == origin(following))


def origin(url: str) -> tuple[str, str | None, int | None]:
    """What must be the same for two addresses to be one server."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
