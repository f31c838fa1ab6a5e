"""What `load` returns, beside the golden lines: values, secrets, bounds and long lists."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import pytest

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.core.manifest.model import Endpoints, Policy, QueueSelection, RetryPolicy, Secret
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Dedupes, Expires
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.manifest.load import load
from runner.manifest.problem_collector import Collector
from tests.manifest.builders import HEAD, LIVE, PEM, write
from tests.manifest.rendering import load_rows, rendered

COMPLETE = Path("tests/manifests/valid/complete.yaml")


def codes(path: Path) -> list[str]:
    return [problem.code for problem in load_rows(path)[0].problems]


def test_the_example_means_what_its_description_says():
    loaded, rows = load_rows(COMPLETE)
    manifest = loaded.manifest
    assert manifest is not None
    assert manifest.environment.simulator is not None
    assert manifest.environment.simulator.faults == {"rate_limited": 0.02}
    assert manifest.environment.simulator.ended_share == 0.03
    assert [(row.key, row.destination_uri, row.source) for row in rows] == [
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "genesys://queue/billing-new", "complete.yaml:57"),
        ("vip-17", "genesys://user/agent-id-98765", "complete.yaml:59"),
        ("abc", "genesys://queue/billing-new", "billing.csv:2"),
        ("def", "genesys://user/u", "billing.csv:3"),
    ]
    assert [matrix.audio.codec for matrix in rows[0].media] == ["opus", "pcmu"]
    assert rows[1].media[0].video is not None


PROMISES = Path("tests/manifests/valid/gateway-promises.yaml")


@pytest.mark.parametrize(
    ("environment", "promise"),
    [
        ("patient", Expires(30.0, 0.5, 5.0)),
        ("sure", Dedupes(86_400.0)),
        ("plain", Expires(0.5, 2.0)),
    ],
)
def test_a_gateways_promise_is_one_of_two(environment: str, promise: Dedupes | Expires):
    manifest = load_rows(PROMISES, environment)[0].manifest
    assert manifest is not None
    assert manifest.gateway.promise == promise


def test_what_a_gateway_says_of_itself_is_taken_over():
    manifest = load_rows(PROMISES)[0].manifest
    assert manifest is not None
    gateway = manifest.gateway
    assert gateway.total_bandwidth_kbps == 64
    assert gateway.carried_out == {"accepted", "codec_negotiated"}
    assert gateway.not_carried_out == {"busy", "rate_limited"}
    assert manifest.policy.circuit_breaker == BreakerPolicy(3, 0.0, 90.0)
    assert manifest.policy.retry == RetryPolicy(4, 1.0, 0.5)


def test_where_nothing_is_written_the_documented_values_hold():
    manifest = load_rows(Path("tests/manifests/valid/minimal.yaml"))[0].manifest
    complete = load_rows(COMPLETE)[0].manifest
    assert manifest is not None
    assert complete is not None
    assert manifest.gateway.promise is manifest.gateway.total_bandwidth_kbps is None
    assert manifest.gateway.carried_out == manifest.gateway.not_carried_out == frozenset()
    assert manifest.policy == complete.policy == Policy()
    assert complete.gateway.promise == Expires(30.0)


@pytest.mark.parametrize(("mode", "secret"), [("online", Secret("canary")), ("offline", None)])
def test_secrets_are_fetched_and_offline_no_command_runs(
    tmp_path: Path, mode: str, secret: Secret | None
):
    head = LIVE % sys.executable
    path = write(tmp_path, " []", head=head, id__txt="me\r\n", ca__pem=PEM)
    loaded, _ = load_rows(path, offline=mode == "offline")
    assert rendered(loaded.problems) == ""
    assert loaded.manifest is not None
    environment = loaded.manifest.environment
    assert (environment.client_id, environment.client_secret) == (Secret("me"), secret)
    assert environment.ca_file == str(tmp_path / "ca.pem")
    assert environment.endpoints == Endpoints(
        token_url="https://api.us.mypurecloud.com/oauth/token",
        api_url="http://127.0.0.1:8080",
        websocket_url="wss://api.us.mypurecloud.com/api/v2/websocket",
    )
    assert "canary" not in repr(loaded)


def test_a_failing_command_is_named_and_what_it_printed_is_not(tmp_path: Path):
    head = (LIVE % sys.executable).replace("print('yranac'[::-1])", "exit('canary')")
    path = write(tmp_path, " []", head=head, id__txt="me", ca__pem=PEM)
    loaded, _ = load_rows(path, offline=False)
    assert [problem.code for problem in loaded.problems] == ["R007"]
    assert "ended with exit code 1" in loaded.problems[0].message
    assert "canary" not in repr(loaded)


@pytest.mark.parametrize("text", ["", "\n", "\udcff"])
def test_an_unusable_secret_file_is_a_problem(tmp_path: Path, text: str):
    head = LIVE % sys.executable
    path = write(tmp_path, " []", head=head, ca__pem=PEM)
    (tmp_path / "id.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert codes(path) == ["R007"]


CALLBACKS = (
    HEAD
    + """callbacks:
  here: {url: "http://localhost:9/", secret: {env: RUNNER_TEST_HOOK}}
  there: {url: "https://crm.example.net/", secret: {env: RUNNER_TEST_NO_SUCH_VARIABLE}}
  open: {url: "https://crm.example.net/"}
"""
)


def test_only_secrets_of_callbacks_that_are_used_and_called_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RUNNER_TEST_HOOK", "whsec_Y2FuYXJ5")
    row = "  - {interaction_id: a, destination_uri: 'genesys://queue/a', callbacks: [%s]}\n"
    loaded, _ = load_rows(write(tmp_path, row % "here, there", head=CALLBACKS))
    assert rendered(loaded.problems) == ""
    assert loaded.manifest is not None
    secrets = {name: callback.secret for name, callback in loaded.manifest.callbacks.items()}
    assert secrets == {"here": Secret("whsec_Y2FuYXJ5"), "there": None, "open": None}
    loaded, _ = load_rows(write(tmp_path, row % "open", head=CALLBACKS))
    assert loaded.manifest is not None
    assert list(loaded.manifest.callbacks) == ["open"]


def test_an_address_of_no_known_kind_is_reported_once(tmp_path: Path):
    row = "  - {interaction_id: a, destination_uri: 'genesys://queue/a', callbacks: [here]}\n"
    path = write(tmp_path, row, head=HEAD + "callbacks: {here: {url: {a: b}}}\n")
    assert codes(path) == ["S001"]


ONE_CALL = "  - {interaction_id: a, destination_uri: 'genesys://queue/a', callbacks: [here]}\n"


@pytest.mark.parametrize("secret", ["plain-secret-123", "whsec_", "YWJj=", "Y2FuYXJ5,"])
def test_a_callback_secret_that_cannot_sign_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
):
    monkeypatch.setenv("RUNNER_TEST_HOOK", secret)
    loaded, _ = load_rows(write(tmp_path, ONE_CALL, head=CALLBACKS))
    assert [problem.code for problem in loaded.problems] == ["R007"]
    assert "openssl rand" in loaded.problems[0].help
    assert "plain-secret" not in repr(loaded)


@pytest.mark.parametrize("secret", ["Y2FuYXJ5MQ==", "Y2FuYXJ5MQ", "whsec_Y2FuYXJ5MQ"])
def test_a_callback_secret_may_come_without_its_padding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
):
    monkeypatch.setenv("RUNNER_TEST_HOOK", secret)
    loaded, _ = load_rows(write(tmp_path, ONE_CALL, head=CALLBACKS))
    assert rendered(loaded.problems) == ""
    assert loaded.manifest is not None
    assert loaded.manifest.callbacks["here"].secret == Secret(secret)


def test_a_callback_secret_that_can_be_guessed_is_refused_but_in_rehearsals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A receiver trusts whoever knows the secret."""
    monkeypatch.setenv("RUNNER_TEST_HOOK", "whsec_Y2FuYXJ5")
    monkeypatch.setenv("RUNNER_TEST_ID", "id")
    real = (
        "  live: {driver: interaction-websocket, region: us, gateway: edge, credentials:"
        " {client_id: {env: RUNNER_TEST_ID}, client_secret: {env: RUNNER_TEST_ID}}}\n"
    )
    head = CALLBACKS.replace("environments:\n", f"environments:\n{real}")
    path = write(tmp_path, ONE_CALL, head=head)
    assert not load_rows(path, "demo")[0].problems
    (problem,) = load_rows(path, "live")[0].problems
    assert (problem.code, problem.place.line) == ("R007", head.split("here:")[0].count("\n") + 1)
    assert "6 bytes, fewer than the 24 that are safe" in problem.message
    assert "openssl rand" in problem.help


def test_the_environment_asked_for_is_used_and_an_unknown_one_refused():
    assert load_rows(COMPLETE, "demo")[0].manifest is not None
    loaded, _ = load_rows(COMPLETE, "dmo")
    assert loaded.manifest is None
    assert [(p.code, p.help) for p in loaded.problems] == [("R001", "did you mean `demo`?")]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("interaction_id\na\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.csv").symlink_to(tmp_path / "rows.csv")
    (inner / "circle.csv").symlink_to(inner / "circle.csv")
    (inner / "good.csv").write_text("interaction_id\na\n")
    (inner / "near.csv").symlink_to(inner / "good.csv")
    item = "  - {from: %s.csv, destination_uri: 'genesys://queue/a'}\n"
    for name, expected in (("link", ["R009"]), ("circle", ["R009"]), ("near", [])):
        assert codes(write(inner, item % name)) == expected


def test_a_value_of_the_row_wins_over_the_entry_and_that_over_the_defaults(tmp_path: Path):
    rows = "interaction_id,destination_uri,fallback\na,,\nb,tel:+441,voice;wide\nc,,wide voice\n"
    head = HEAD.replace(
        "defaults: {media: voice}",
        "  wide: {audio: {codec: opus, bandwidth_kbps: 128, bit_depth: 16}}\n"
        "defaults: {media: voice, fallback: [wide], destination_uri: 'genesys://queue/d'}",
    )
    item = "  - {from: r.csv, destination_uri: 'genesys://queue/e'}\n  - {interaction_id: z}\n"
    loaded, found = load_rows(write(tmp_path, item, head=head, r__csv=rows))
    assert rendered(loaded.problems) == ""
    assert [
        (row.destination_uri, [matrix.bandwidth_kbps for matrix in row.media]) for row in found
    ] == [
        ("genesys://queue/e", [64, 128]),
        ("tel:+441", [64, 64, 128]),
        ("genesys://queue/e", [64, 128, 64]),
        ("genesys://queue/d", [64, 128]),
    ]


def test_problems_are_bounded_and_the_rest_are_counted(tmp_path: Path):
    loaded, rows = load_rows(
        write(tmp_path, "  - {interaction_id: 5, destination_uri: 'tel:+44'}\n" * 1200)
    )
    assert rows == []
    assert len(loaded.problems) == 1000
    assert loaded.omitted == {"S003": 200}


def test_no_number_of_warnings_keeps_an_error_from_being_shown():
    problems = Collector()
    places = [Place("m.yaml", line, 1) for line in range(1, 1202)]
    problems.extend(Problem("R010", "odd", place, "", Severity.WARNING) for place in places)
    problems.add(Problem("R001", "unknown", Place("m.yaml", 1202, 1), ""))
    kept = problems.sorted("m.yaml")
    assert [problem.code for problem in kept] == ["R010"] * 1000 + ["R001"]
    assert problems.omitted == {}


def test_each_transfer_has_the_matrix_that_is_written_in_it(tmp_path: Path):
    one = "{interaction_id: %s, destination_uri: 'tel:+44', media: {audio: {codec: opus, bandwidth_kbps: %d, bit_depth: 16}}}"
    inline = "".join(f"  - {one % (name, kbps)}\n" for name, kbps in (("a", 32), ("b", 48)))
    rows = "".join(
        f'{{"interaction_id": "{name}", "media": {{"audio": {{"codec": "opus",'
        f' "bandwidth_kbps": {kbps}, "bit_depth": 16}}}}}}\n'
        for name, kbps in (("c", 20), ("d", 24))
    )
    item = "  - {from: r.jsonl, destination_uri: 'tel:+44'}\n"
    _, found = load_rows(write(tmp_path, inline + item, r__jsonl=rows))
    assert [row.media[0].bandwidth_kbps for row in found] == [32, 48, 20, 24]


def test_an_empty_list_is_a_value_and_not_an_absence(tmp_path: Path):
    head = HEAD.replace(
        "defaults: {media: voice}",
        "  wide: {audio: {codec: opus, bandwidth_kbps: 128, bit_depth: 16}}\n"
        "defaults: {media: voice, fallback: [wide], destination_uri: 'tel:+44'}",
    )
    rows = "  - {interaction_id: a}\n  - {interaction_id: b, fallback: []}\n"
    rows += "  - {from: r.jsonl}\n"
    other = '{"interaction_id": "c", "fallback": []}\n{"interaction_id": "d"}\n'
    _, found = load_rows(write(tmp_path, rows, head=head, r__jsonl=other))
    assert [len(row.media) for row in found] == [2, 1, 1, 2]


class Counter:
    """A sink that keeps nothing."""

    rows = 0

    def add(self, row: TransferRow) -> None:
        self.rows += bool(row.key)

    def add_all(self, rows: RowColumns) -> None:
        for row in zip(*rows, strict=True):
            self.add(TransferRow(*row))

    def select(self, selection: QueueSelection) -> None:
        raise AssertionError(selection)

    def protect(self, interaction_id: str, source: str) -> None:
        raise AssertionError((interaction_id, source))

    def destinations(self) -> tuple[()]:
        return ()

    def rows_to(self) -> dict[str, int]:
        return {}

    def repeats(self, limit: int) -> tuple[()]:
        del limit
        return ()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_rows_of_a_file(tmp_path: Path, form: str):
    path = write(tmp_path, f"  - {{from: r.{form}, destination_uri: 'genesys://queue/a'}}\n")
    peaks = []
    for count in (2_000, 20_000):
        header = "interaction_id\n" if form == "csv" else ""
        row = "%d\n" if form == "csv" else '{"interaction_id": "%d"}\n'
        (tmp_path / f"r.{form}").write_text(header + "".join(row % n for n in range(count)))
        tracemalloc.start()
        loaded = load(path, environment=None, sink=Counter(), offline=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert loaded.rows == count
    assert peaks[1] - peaks[0] < 18_000 * 20  # eight bytes a row, and some growing room


@pytest.mark.parametrize("key", ["0031234", "5", "٣"])
def test_a_key_of_digits_is_found_where_it_stands(key: str, tmp_path: Path):
    head = HEAD + f'labels: {{"31234": fine, "05": fine, "{key}": {{}}}}\n'
    transfers = "  - {interaction_id: a, destination_uri: genesys://queue/a}\n"
    problems = load_rows(write(tmp_path, transfers, head=head))[0].problems
    assert [problem.place.line for problem in problems] == [head.count("\n")]
    assert f"`{key}` is a mapping" in problems[0].message
