"""Reads the binary form of SSH keys and signatures (RFC 4251, section 5)."""

from __future__ import annotations

import struct


class Malformed(ValueError):
    """Bytes, or a text, that are not what they should be; the text says why."""


class WireReader:
    """Reads values one after the other. Every method raises `Malformed` where bytes are missing."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        end = self._at + size
        if end > len(self._encoded):
            raise Malformed("it is cut off")
        taken = self._encoded[self._at : end]
        self._at = end
        return taken

    def uint32(self) -> int:
        """Return the next number."""
        (number,) = struct.unpack(">I", self.take(4))
        return int(number)

    def string(self) -> bytes:
        """Return the next string."""
        return self.take(self.uint32())

    def text(self) -> str:
        """Return the next string, which must be printable ASCII."""
        found = self.string()
        if not found.isascii() or not (text := found.decode()).isprintable():
            raise Malformed("a name in it is not printable ASCII")
        return text

    def mpint(self) -> int:
        """Return the next integer, which must not be negative."""
        found = self.string()
        if found[:1] >= b"\x80":
            raise Malformed("a number in it is negative")
        return int.from_bytes(found)

    def end(self) -> None:
        """Check that nothing follows."""
        if self._at != len(self._encoded):
            raise Malformed("more follows where it should end")


def string(encoded: bytes) -> bytes:
    """Return the wire form of a string."""
    return struct.pack(">I", len(encoded)) + encoded
