"""How strict the platform is about tokens, paths, bodies and the rate of requests."""

import pytest

from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.genesys_cloud.model import _OPERATIONS
from runner.simulator.genesys_cloud.routes import PERMISSIONS, ROUTES
from tests.simulator.genesys_shell import (
    BASIC,
    CONVERSATION,
    FORM,
    GRANT,
    NOW,
    QUEUE,
    genesys_shell,
)

PATH = f"/api/v2/conversations/{CONVERSATION}"


def test_a_token_is_granted_for_the_grant_type_alone():
    shell = genesys_shell()

    granted = shell.ask("POST", "/oauth/token", GRANT.encode(), authorization=BASIC, kind=FORM)

    assert granted.status == 200
    assert set(granted.body) == {"access_token", "token_type", "expires_in"}
    assert (granted.body["token_type"], granted.body["expires_in"]) == ("bearer", 3600)


@pytest.mark.parametrize(
    ("authorization", "form", "kind", "status", "error"),
    [
        ("Basic Ym9iOmxvdmVsYWNl", GRANT, FORM, 400, "invalid_client"),  # bob
        ("Basic YWRhOmd1ZXNzZWQ=", GRANT, FORM, 401, "invalid_client"),  # a wrong secret
        ("Basic ?", GRANT, FORM, 400, "invalid_client"),
        ("", GRANT, FORM, 400, "invalid_client"),
        (BASIC, f"{GRANT}&scope=conversations", FORM, 400, "invalid_request"),
        (BASIC, "grant_type=password", FORM, 400, "unsupported_grant_type"),
        (BASIC, GRANT, "application/json", 400, "invalid_request"),
    ],
)
def test_a_token_request_that_is_not_right_is_refused(
    authorization: str, form: str, kind: str, status: int, error: str
):
    shell = genesys_shell()

    refused = shell.ask(
        "POST", "/oauth/token", form.encode(), authorization=authorization, kind=kind
    )

    assert (refused.status, refused.body["error"]) == (status, error)


def test_without_a_valid_token_nothing_is_told():
    shell = genesys_shell()

    nothing = shell.ask("GET", PATH, authorization="")
    guessed = shell.ask("GET", PATH, authorization="Bearer guessed")
    shell.now += 3601
    late = shell.get(PATH)

    assert (nothing.status, nothing.code) == (401, "authentication.required")
    assert (guessed.status, guessed.code) == (401, "bad.credentials")
    assert (late.status, late.code) == (401, "bad.credentials")


def test_an_error_body_has_the_platform_s_fields():
    shell = genesys_shell()

    refused = shell.get("/api/v2/conversations/missing-1")

    assert refused.status == 404
    assert refused.body == {
        "message": "The requested resource was not found.",
        "code": "not.found",
        "status": 404,
        "entityId": "missing-1",
        "messageWithParams": "The requested resource was not found.",
        "messageParams": {},
        "contextId": refused.headers["ININ-Correlation-Id"],
        "details": [],
        "errors": [],
    }


def test_what_is_not_of_the_interface_is_refused():
    shell = genesys_shell()
    held = shell.holder()["id"]
    command = f"{PATH}/participants/{held}/replace/queue"

    assert shell.get("/api/v2/conversation").code == "not.found"
    assert shell.get("/api/v2/websocket").code == "not.found"
    wrong = shell.ask("DELETE", PATH)
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET")
    assert shell.get(PATH, expand="all").body["details"] == [
        {"errorCode": "bad.request", "fieldName": "expand"}
    ]
    assert shell.ask("POST", command, {"queueId": QUEUE, "queue": 1}).body["details"] == [
        {"errorCode": "bad.request", "fieldName": "queue"}
    ]
    assert shell.ask("POST", command, {"queueId": 7}).code == "bad.request"
    assert shell.ask("POST", command, [1]).code == "bad.request"
    assert shell.ask("POST", command, b"{").code == "bad.request"
    assert shell.ask("POST", command, b"{}", kind=FORM).code == "unsupported.media.type"
    assert shell.ask("POST", "/api/v2/notifications/channels", {"id": "x"}).code == "bad.request"
    assert shell.get("/api/v2/conversations/call-1").code == "bad.request"
    assert shell.get("/api/v2/conversations/00000403-0000-4000-8000-000000000001").status == 403
    assert not shell.moves


def test_every_answer_tells_the_rate_and_bears_a_correlation_id():
    shell = genesys_shell(http_rate_per_s=5.0)

    first, second = shell.get(PATH), shell.get("/api/v2/nowhere")

    assert {name: second.headers[name] for name in second.headers if "ratelimit" in name} == {
        "inin-ratelimit-count": "2",
        "inin-ratelimit-allowed": "300",
        "inin-ratelimit-reset": "60",
    }
    assert first.headers["ININ-Correlation-Id"] != second.headers["ININ-Correlation-Id"]
    assert first.headers["Date"] == "Tue, 01 Dec 2026 21:00:00 GMT"
    assert first.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"


def test_three_hundred_requests_a_minute_are_let_through_and_no_more():
    shell = genesys_shell(http_rate_per_s=None)
    codes = [shell.get(PATH).code for _ in range(301)]
    shell.now += 20
    refused = shell.get(PATH)
    other = shell.token
    shell.renew()
    fresh = shell.get(PATH)
    shell.token = other
    shell.now = NOW + 60
    again = shell.get(PATH)

    assert codes == [None] * 300 + ["too.many.requests"]
    assert (refused.status, refused.headers["Retry-After"]) == (429, "40")
    assert refused.body["message"] == (
        "Rate limit exceeded the maximum [300] requests within [60] seconds"
    )
    assert refused.headers["inin-ratelimit-reset"] == "40"
    assert (fresh.status, again.status) == (200, 200)
    assert again.headers["inin-ratelimit-count"] == "1"


def test_conduct_gives_the_rate_where_it_says_so():
    shell = genesys_shell(GatewayBehaviour(rate_per_s=0.05), http_rate_per_s=100.0)
    assert [shell.get(PATH).status for _ in range(4)] == [200, 200, 200, 429]


def test_what_a_stalled_platform_has_not_acted_upon_in_a_minute_never_happens():
    shell = genesys_shell()
    held = shell.holder()["id"]
    shell.model.stall(NOW + 61)

    late = shell.replace(queueId=QUEUE, participant_id=held)
    shell.model.stall(shell.now + 59)
    in_time = shell.replace(queueId=QUEUE, participant_id=held)

    assert (late.status, late.code, late.at) == (504, "request.timeout", NOW + 61)
    assert (in_time.status, shell.moves) == (202, {CONVERSATION: 1})


def test_look_ups_lag_behind_as_long_as_conduct_says():
    shell = genesys_shell(GatewayBehaviour(visible_s=2.0))
    held = shell.holder()
    shell.replace(queueId=QUEUE, participant_id=held["id"])

    soon = shell.holder()
    shell.now += 2.0

    assert soon == held
    assert shell.holder()["queueId"] == QUEUE


def test_each_operation_of_the_table_is_carried_out_by_something():
    assert [route.name for route in ROUTES] == list(dict.fromkeys(r.name for r in ROUTES))
    assert set(_OPERATIONS) == {route.name for route in ROUTES}


def test_what_there_is_of_permissions():
    assert {
        "analytics:agentConversationDetail:view",
        "analytics:conversationDetail:view",
        "analytics:queueObservation:view",
        "conversation:communication:blindTransfer",
        "conversation:communication:blindTransferAgent",
        "conversation:communication:blindTransferQueue",
        "conversation:communication:view",
        "directory:user:view",
        "routing:queue:view",
        "routing:skill:view",
    } == PERMISSIONS


def test_what_a_token_permits_is_told_in_policies():
    shell = genesys_shell(permissions=frozenset({"routing:queue:view"}))

    full = shell.get("/api/v2/authorization/subjects/me", includeFullRoles="true").body
    short = shell.get("/api/v2/authorization/subjects/me").body

    assert full["grants"][0]["role"]["policies"] == [
        {"domain": "routing", "entityName": "queue", "actions": ["view"]}
    ]
    assert "policies" not in short["grants"][0]["role"]
    token = shell.get("/api/v2/tokens/me").body
    assert token["dateTokenIdles"] == "2026-12-01T22:00:00.250Z"
    assert shell.ask("HEAD", "/api/v2/tokens/me").status == 200
