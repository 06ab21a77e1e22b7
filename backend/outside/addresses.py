"""Which addresses may be read: by their form, and by the network they lead to."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final, TypeAlias

import httpx2

from backend.errors import Unprocessable

Address: TypeAlias = IPv4Address | IPv6Address

#: Where websites are. Other ports lead to mail servers, databases and the like, which take an HTTP request for
#: something else.
WEB_PORTS: Final = frozenset({80, 443, 8000, 8080, 8443})
MAX_URL_CHARACTERS: Final = 2000

#: Addresses in the public range behind which a cloud answers its own machines: Azure's.
_INSIDE_CLOUDS: Final = frozenset({IPv4Address("168.63.129.16")})
#: IPv6 that is routed on the internet (RFC 4291); everything else is local, reserved, or wraps something.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
#: IPv6 that stands for an IPv4 address in its last 32 bits, by a translator (RFC 6052).
_NAT64: Final = IPv6Network("64:ff9b::/96")
#: Relays of 6to4 (RFC 7526): what is behind one is decided by whoever runs it.
_RELAYS: Final = IPv4Network("192.88.99.0/24")


class AddressRefused(Unprocessable):
    """This address may not be read."""


def is_public(address: Address) -> bool:
    """Whether the address is one of the internet's, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        inner = _wrapped(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    elif address in _INSIDE_CLOUDS or address in _RELAYS:
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    )


def read_address(text: str) -> Address:
    """The address `getaddrinfo` names, without the interface it may name too."""
    return ip_address(text.partition("%")[0])


def read_url(url: str, *, any_port: bool = False) -> httpx2.URL:
    """`url` without its fragment. Raises `AddressRefused`, with the reason, for one that is no web address."""
    try:
        found = httpx2.URL(url[: MAX_URL_CHARACTERS + 1])
        port = found.port
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise AddressRefused("This is not a web address.") from error
    if len(url) > MAX_URL_CHARACTERS:
        raise AddressRefused(f"The address has more than {MAX_URL_CHARACTERS} characters.")
    if found.scheme not in ("http", "https"):
        raise AddressRefused("Only addresses that begin with http:// or https:// are read.")
    if not found.host:
        raise AddressRefused("The address names no server.")
    if found.userinfo:
        raise AddressRefused("The address holds a user name or password; these are not sent.")
    if port is not None and not 0 < port < 65536:
        raise AddressRefused("This is not a web address.")
    if port is not None and port not in WEB_PORTS and not any_port:
        raise AddressRefused(f"Port {port} is not one that websites use.")
    return found.copy_with(fragment=None)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address is another way to write, or leads to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
