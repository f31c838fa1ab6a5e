"""The manual page: made from the commands' own help, and read without a complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.cli.app import COMMANDS
from tools.man import page, roff


def test_the_page_has_every_command_and_exit_code():
    text = page()
    for name, listed in COMMANDS.items():
        shown = f"{listed.group} {name}" if listed.group else name
        assert re.search(rf"^\.SS runner {shown}( |$)", text, re.MULTILINE), shown
    assert "\n.B 129" in text or "\n.B 130" in text
    assert page() == text


def test_no_text_is_taken_for_a_request():
    assert roff(".so /etc/passwd\n--x \\n") == "\\&.so /etc/passwd \\-\\-x \\en"


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here to read it")
def test_man_reads_it_without_a_warning(tmp_path: Path):
    path = tmp_path / "runner.1"
    path.write_text(page())
    read = subprocess.run(
        ["man", "--warnings", "-l", str(path)], capture_output=True, text=True, check=True
    )
    assert read.stderr == ""
    assert "EXIT STATUS" in read.stdout
