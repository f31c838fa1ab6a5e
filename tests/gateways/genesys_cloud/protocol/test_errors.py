"""The vendor's error answers in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateways.genesys_cloud.protocol.errors import HELP, VendorFault, read_fault

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_missing_permission_is_named_as_the_body_names_it():
    fault = read_fault(
        403,
        {
            "code": "missing.any.permissions",
            "message": "Unable to perform the requested action. You must have at least one of the "
            "following permissions assigned: [conversation:communication:blindTransfer, "
            "conversation:communication:blindTransferQueue]",
            "status": 403,
            "messageParams": {"permissions": "conversation:communication:blindTransfer"},
        },
    )
    assert fault.permissions == (
        "conversation:communication:blindTransfer",
        "conversation:communication:blindTransferQueue",
    )
    assert fault.help == (
        "the client's roles lack conversation:communication:blindTransfer or "
        "conversation:communication:blindTransferQueue: add it to a role, and grant that role to "
        "the OAuth client, in the right division"
    )


def test_a_permission_may_stand_in_the_parameters_alone():
    body = {"code": "missing.permissions", "messageParams": {"p": "routing:queue:view"}}
    assert "lack routing:queue:view: add" in read_fault(403, body).help


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        (400, "conversations.error.transfer.not.connected", "no participant is connected"),
        (400, "conversations.error.transfer.same.party", "already"),
        (400, "conversations.error.transfer.destination.required", "destination"),
        (400, "conversations.error.transfer.acd.call.unattended", "unattended"),
        (400, "conversations.error.queue.not.found", "no such queue"),
        (403, "not.authorized", "division"),
        (404, "not.found", "does not exist"),
        (415, "unsupported.media.type", "proxies"),
        (429, "too.many.requests", "allowance"),
        (429, "rate.limited", "allowance"),
        (504, "request.timeout", "a look-up shows"),
    ],
)
def test_every_code_of_the_list_has_a_sentence(status: int, code: str, word: str):
    sentence = read_fault(status, {"code": code, "message": "Said so."}).sentence
    assert sentence.startswith(f"{code} ({status}): Said so; ")
    assert word in sentence


def test_an_unknown_code_is_told_as_it_is():
    assert read_fault(400, {"code": "new.one", "message": "Odd."}).sentence == "new.one (400): Odd"


def test_a_body_that_is_none_leaves_the_status():
    assert read_fault(502, None) == VendorFault(502, "http 502")
    assert read_fault(502, None).sentence == "http 502 (502)"


@given(st.integers(300, 599), st.none() | st.dictionaries(st.text(), ANY_JSON))
def test_no_body_is_too_odd(status: int, body: dict[str, object] | None):
    sentence = read_fault(status, body).sentence
    assert sentence.isprintable()
    assert len(sentence) < 3000


@given(st.sampled_from(["code", "message", "messageParams", "messageWithParams"]), ANY_JSON)
def test_no_field_is_too_odd(field: str, value: object):
    assert read_fault(400, {field: value}).sentence


def test_help_is_one_line_each_in_lower_case():
    for code, text in HELP.items():
        assert code == code.strip()
        assert text[0].islower(), code
        assert json.dumps(text).isascii()
        assert not text.endswith(".")
