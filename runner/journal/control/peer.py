"""Finds out by the kernel's word who is at the other end of a Unix socket."""

from __future__ import annotations

import pwd
import socket
import struct
import sys
from pathlib import Path

from runner.core.frozen import frozen
from runner.ports.control import Requester

_UCRED = struct.Struct("3i")  # Linux: pid, uid, gid
_XUCRED_HEAD = struct.Struct("Ii")  # macOS: version, uid
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2  # macOS, <sys/un.h>
_XUCRED_SIZE = 76
_UNSET = 0xFFFF_FFFF


@frozen
class Peer:
    """A process at the other end; `pid` None: not known."""

    uid: int
    pid: int | None


def peer_of(connection: socket.socket) -> Peer:
    """Return the process at the other end when it connected, or listened; raises `OSError`."""
    if sys.platform == "darwin":
        found = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_SIZE)
        uid = _XUCRED_HEAD.unpack_from(found)[1]
        return Peer(uid, connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID))
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(found)
    return Peer(uid, pid or None)


def requester_of(peer: Peer) -> Requester:
    """Return who a peer is, with the account that logged in where that is another."""
    login_uid = None if peer.pid is None else _login_uid(peer.pid)
    if login_uid is None or login_uid == peer.uid:
        return Requester(peer.uid, user_name(peer.uid), login_uid)
    return Requester(peer.uid, user_name(peer.uid), login_uid, user_name(login_uid))


def user_name(uid: int) -> str:
    """Return an account's name, or its number if it has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _login_uid(pid: int) -> int | None:
    try:
        uid = int(Path(f"/proc/{pid}/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == _UNSET else uid
