"""Digests that have to be there while a guest runs: hashlib and hmac would load OpenSSL, and keep the GIL meanwhile."""

from __future__ import annotations

from _operator import _compare_digest as is_equal
from collections.abc import Iterable

try:
    from _blake2 import blake2b
except ImportError:  # a Python that has it from OpenSSL alone
    from hashlib import blake2b

__all__ = ["SIZE", "digest_of", "is_equal"]

SIZE = 32
"""Bytes of a digest."""


def digest_of(parts: Iterable[bytes | memoryview], key: bytes = b"") -> bytes:
    """BLAKE2b of the parts, one behind the other. key: up to 64 bytes; whoever has it can make the digest."""
    digest = blake2b(key=key, digest_size=SIZE)
    for part in parts:
        digest.update(part)
    return digest.digest()
