"""The process environment. No other module reads it (a lint rule enforces this)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|DATABASE_URL", re.IGNORECASE)


def environment() -> Mapping[str, str]:
    """The variables of this process."""
    return os.environ


def system_proxy(url: str) -> str | None:
    """The proxy that the system names for `url` (`https_proxy`, `no_proxy`, …), if it names one."""
    # Imported here: it brings all of `http.client`, and few commands call anything.
    from urllib.request import getproxies, proxy_bypass

    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if not parts.hostname or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def child_environment(
    extra: Mapping[str, str] | None = None, *, keep_secrets: bool = False
) -> dict[str, str]:
    """The environment for a child process: this one's, less what looks like a secret, plus `extra`.

    `keep_secrets` is for a child that needs the user's own credentials, such as pip with a private
    index; never for one that runs a model or a model's code.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if keep_secrets or not _SECRET_NAME.search(name)
    }
    return {**kept, **(extra or {})}
