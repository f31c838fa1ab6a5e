"""Text frames: a server reads what was written, whatever its length, and each has its own mask."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from runner.gateways.websocket.text_frame import text_frame


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_server_reads_the_text_of_any_length(length: int):
    data = ("ä" * length).encode()[:length]
    server = Protocol(Side.SERVER, max_size=None)
    server.receive_data(text_frame(data))
    assert server.events_received() == [Frame(Opcode.TEXT, data)]
    assert server.data_to_send() == []


def test_each_frame_has_a_mask_of_its_own():
    assert len({text_frame(b"the same text") for _ in range(9)}) == 9
