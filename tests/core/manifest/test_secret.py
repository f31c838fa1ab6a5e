"""A secret is shown by nothing but the call that reveals it."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.model import (
    Callback,
    DriverTraits,
    Environment,
    GatewayConstraints,
    Manifest,
    Policy,
    Secret,
    SimulatorOptions,
    plain,
)

PLAIN = "canary-4711"
DRIVER = DriverTraits(name="genesys-cloud", needs_lookup=True, requests_per_delivery=2)


def environment(**changes: object) -> Environment:
    plain: dict[str, object] = {"name": "night", "driver": DRIVER, "gateway": "edge"}
    return Environment(**{**plain, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("show", [str, repr, "{}".format, ascii])
def test_no_text_form_shows_it(show: object):
    assert callable(show)
    assert PLAIN not in show(Secret(PLAIN))
    assert PLAIN not in show([Secret(PLAIN)])


@pytest.mark.parametrize("serialise", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_serialised(serialise: object):
    assert callable(serialise)
    with pytest.raises(TypeError, match="not serialised"):
        serialise(Secret(PLAIN))


@given(st.text(), st.text())
def test_it_equals_what_reveals_the_same(one: str, other: str):
    assert (Secret(one) == Secret(other)) == (one == other)
    assert len({Secret(one), Secret(other)}) == len({one, other})
    assert Secret(one).reveal() == one
    assert Secret(one) != one


def test_its_digest_names_it_without_showing_it():
    assert Secret(PLAIN).digest() == hashlib.sha256(PLAIN.encode()).hexdigest()
    assert Secret("\udcff").digest() == Secret("\udcff").digest()  # of undecodable bytes too


def test_a_manifest_lists_its_secrets_and_leaves_out_those_it_has_not():
    hook = Secret("hook")
    callbacks = {
        "signed": Callback("signed", "https://example.net", secret=hook),
        "plain": Callback("plain", "https://example.net"),
    }
    gateway = GatewayConstraints("edge", 64, ("opus",), 30)

    def secrets(**changes: object) -> tuple[Secret, ...]:
        return Manifest(
            "m.yaml", "0", "batch", environment(**changes), gateway, callbacks, Policy()
        ).secrets

    assert secrets(client_id=Secret("id"), client_secret=Secret(PLAIN)) == (Secret(PLAIN), hook)
    assert secrets() == (hook,)


def test_the_embedded_gateway_is_named_instead_of_the_driver_that_speaks_with_it():
    real, simulated = environment(), environment(simulator=SimulatorOptions())
    assert (real.is_simulated, real.driver_name) == (False, "genesys-cloud")
    assert (simulated.is_simulated, simulated.driver_name) == (True, "simulator")


@pytest.mark.parametrize(
    ("needs_lookup", "preflight", "requests"),
    [(True, False, 3), (True, True, 3), (False, True, 3), (False, False, 2)],
)
def test_a_look_up_is_a_request_where_the_driver_or_the_manifest_wants_one(
    *, needs_lookup: bool, preflight: bool, requests: int
):
    driver = DriverTraits(name="d", needs_lookup=needs_lookup, requests_per_delivery=2)
    assert environment(driver=driver).requests_each(preflight=preflight) == requests


def test_a_value_that_may_be_a_secret_is_read_in_one_way():
    assert plain(Secret(PLAIN)) == plain(PLAIN) == PLAIN
