"""What the journal's tables keep as text is read back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.media import Audio, MediaMatrix, Video
from runner.core.records.row_text import (
    read_found_at,
    read_ladder,
    read_names,
    write_found_at,
    write_ladder,
    write_names,
)
from runner.core.transfer.lookup_verdict import FoundAt

figures = st.floats(0.1, 1e6)
audio = st.builds(Audio, st.text(min_size=1), figures, st.integers(1, 64))
video = st.builds(Video, st.text(min_size=1), figures, st.just("640x480"), figures)
ladders = st.lists(st.builds(MediaMatrix, audio, st.none() | video), min_size=1, max_size=4)
found = st.none() | st.builds(FoundAt, st.text(), st.text(), st.none() | st.text())


@given(ladders)
def test_media_and_their_fallbacks(media: list[MediaMatrix]):
    assert read_ladder(write_ladder(media)) == tuple(media)


@given(st.lists(st.text()).map(tuple))
def test_names_of_callbacks(names: tuple[str, ...]):
    assert read_names(write_names(names)) == names


@given(found)
def test_where_a_selection_found_it(found_at: FoundAt | None):
    assert read_found_at(write_found_at(found_at)) == found_at
