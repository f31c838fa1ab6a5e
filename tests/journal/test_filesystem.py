"""A journal on the network is refused; where it lies is told by the system's own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.journal.filesystem import (
    NETWORK,
    filesystem_type,
    mount_type,
    read_mount,
    read_mountinfo,
)

LINUX = r"""
22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:27 / /home rw,relatime shared:5 master:2 - nfs4 server:/home rw,vers=4.2
32 31 0:28 / /home/ops/my\040disk rw - xfs /dev/sdb1 rw
33 31 0:29 / /home/ops/my\040disk rw - cifs //server/share rw
"""

MACOS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//ops@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by ops)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/runner.db", "ext4"),
        ("/home/ops/runner.db", "nfs4"),
        ("/homely/runner.db", "ext4"),
        ("/home/ops/my disk/runner.db", "cifs"),  # mounted over the one before
    ],
)
def test_the_deepest_and_last_mount_holds_a_path(path: str, kind: str):
    assert mount_type(read_mountinfo(LINUX), Path(path)) == kind


def test_macos_is_understood():
    mounts = read_mount(MACOS)
    assert mount_type(mounts, Path("/Volumes/share/runner.db")) == "smbfs"
    assert mount_type(mounts, Path("/Users/ops/runner.db")) == "apfs"
    assert mount_type([], Path("/x")) is None


def test_this_machines_own_disk_is_told(tmp_path: Path):
    assert filesystem_type(tmp_path / "not-there-yet.db") not in NETWORK | {None}
