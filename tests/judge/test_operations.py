"""Paths, methods, parameters and body fields, compared with those in the SDK's own source."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import PureCloudPlatformClientV2 as sdk
import pytest

APIS = (
    sdk.ConversationsApi,
    sdk.NotificationsApi,
    sdk.AnalyticsApi,
    sdk.RoutingApi,
    sdk.UsersApi,
    sdk.TokensApi,
    sdk.AuthorizationApi,
)
TABLES = json.loads(
    subprocess.run(
        [os.environ["RUNNER_PYTHON"], Path(__file__).with_name("sent.py")],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    ).stdout
)


@dataclass(frozen=True)
class Operation:
    """What one method of the SDK sends; `body` is the name of its model, None without."""

    name: str
    query: frozenset[str]
    body: str | None


@cache
def operations() -> dict[tuple[str, str], Operation]:
    """Read every method of the SDK's APIs, by HTTP method and path."""
    found = {}
    for api in APIS:
        for name, method in inspect.getmembers(api, inspect.isfunction):
            source = inspect.getsource(method)
            path = re.search(r"resource_path = '([^']+)'", source)
            verb = re.search(r"call_api\(resource_path, '([A-Z]+)'", source)
            if path is None or verb is None:
                continue
            body = re.search(r":param (\S+) body:", source)
            query = frozenset(re.findall(r"query_params\['([^']+)'\]", source))
            found[verb[1], path[1]] = Operation(name, query, body[1] if body else None)
    return found


def unknown_fields(body: Any, kind: str | None, where: str = "body") -> list[str]:
    """Return the fields of `body` that the SDK's model `kind` does not have."""
    if body is None or body == "any":
        return []
    if kind is None:
        return [f"{where} is sent where none belongs"]
    if isinstance(body, list):
        inner = re.fullmatch(r"list\[(.*)\]", kind)
        if inner is None:
            return [f"{where} is no {kind}"]
        return [fault for one in body for fault in unknown_fields(one, inner[1], where)]
    model = getattr(sdk, kind)()
    kinds = {name: model.swagger_types[one] for one, name in model.attribute_map.items()}
    faults = [f"{where}.{name} is no field of {kind}" for name in body.keys() - kinds.keys()]
    for name in body.keys() & kinds.keys():
        faults += unknown_fields(body[name], kinds[name], f"{where}.{name}")
    return faults


def named(table: str) -> list[Any]:
    return [pytest.param(one, id=f"{one['method']} {one['path']}") for one in TABLES[table]]


@pytest.mark.parametrize("ours", named("offered"))
def test_what_the_gateway_accepts_is_what_the_sdk_sends(ours: Any):
    compare(ours)


@pytest.mark.parametrize("ours", named("used"))
def test_what_the_driver_sends_is_what_the_sdk_sends(ours: Any):
    compare(ours)


def test_the_driver_uses_every_command_and_reads_lists_and_channels():
    used = {(one["method"], one["path"]) for one in TABLES["used"]}
    participant = "/api/v2/conversations/{conversationId}/participants/{participantId}"
    channels = "/api/v2/notifications/channels"

    assert used >= {
        ("GET", "/api/v2/conversations/{conversationId}"),
        ("POST", f"{participant}/replace/queue"),
        ("POST", f"{participant}/replace/agent"),
        ("POST", f"{participant}/transfer"),
        ("GET", channels),
        ("POST", channels),
        ("GET", f"{channels}/{{channelId}}/subscriptions"),
        ("POST", f"{channels}/{{channelId}}/subscriptions"),
        ("DELETE", f"{channels}/{{channelId}}/subscriptions"),
        ("GET", "/api/v2/routing/queues"),
        ("POST", "/api/v2/users/search"),
        ("POST", "/api/v2/analytics/conversations/activity/query"),
        ("GET", "/api/v2/authorization/subjects/me"),
    }


def compare(ours: Any) -> None:
    theirs = operations().get((ours["method"], ours["path"]))
    assert theirs is not None, "the SDK has no such operation"
    assert set(ours["query"]) <= theirs.query
    assert unknown_fields(ours["body"], theirs.body) == []
    assert (ours["body"] is None) == (theirs.body is None), ours


def test_a_renamed_field_is_found():
    body = {"queueId": "any", "kind": "any"}

    assert unknown_fields(body, "TransferToQueueRequest") == [
        "body.kind is no field of TransferToQueueRequest"
    ]
    assert unknown_fields([{"name": "any"}], "list[ChannelTopic]") == [
        "body.name is no field of ChannelTopic"
    ]
