"""The audit chain, checked by hand and by an independent SHA-256."""

from __future__ import annotations

import json
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from runner.core.records.audit_chain import GENESIS, canonical, is_finite_json, link


def test_one_text_whatever_the_order():
    assert canonical({"b": [1, "ä"], "a": None}) == '{"a":null,"b":[1,"\\u00e4"]}'
    assert canonical({"a": None, "b": [1, "ä"]}) == '{"a":null,"b":[1,"\\u00e4"]}'


def test_a_link_is_the_sha_256_of_both_texts():
    """The figure is coreutils', not ours."""
    summed = subprocess.run(
        ["sha256sum"], input=(GENESIS + '{"a":1}').encode(), capture_output=True, check=True
    )
    assert link(GENESIS, '{"a":1}') == summed.stdout.decode().split()[0]


def test_what_is_no_number_can_be_told_before():
    assert not is_finite_json({"a": float("nan")})
    assert not is_finite_json({"a": [float("inf")]})
    assert is_finite_json({"a": [1.5, None, "ä"]})


def test_a_lone_surrogate_is_escaped():
    assert canonical({"a": "\ud800"}) == '{"a":"\\ud800"}'


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.floats(-1e9, 1e9)))
def test_canonical_json_is_json_in_ascii(body: dict[str, object]):
    text = canonical(body)
    assert json.loads(text) == body
    assert text.isascii()
    assert "\n" not in text


@given(st.lists(st.text(), min_size=2, max_size=6, unique=True))
def test_every_text_and_their_order_counts(bodies: list[str]):
    def head(texts: list[str]) -> str:
        end = GENESIS
        for text in texts:
            end = link(end, text)
        return end

    assert head(bodies) != head(bodies[::-1])
    assert head(bodies) != head(bodies[1:])
