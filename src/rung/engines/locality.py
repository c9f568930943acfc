"""Where an engine is: on this machine, on the user's network, or elsewhere."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from rung.chat import Locality


def locality_of(base_url: str) -> Locality:
    """The locality of the host in `base_url`; whatever cannot be told to be near is `cloud`.

    Names are not looked up: what a name means can change between the question and the call. A
    machine where the user can log in by SSH is theirs: `lan`, wherever it stands.
    """
    if base_url.startswith("ssh://"):
        return "lan"
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    except ValueError:
        return "cloud"
    if host == "localhost" or host.endswith(".localhost"):
        return "local"
    if host.endswith(".local"):
        return "lan"
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return "cloud"
    return _locality_of_address(address)


def _locality_of_address(address: IPv4Address | IPv6Address) -> Locality:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_unspecified:
        return "local"
    return "cloud" if address.is_global or address.is_multicast else "lan"
