"""Plans are applied with the approvals that they need, and refused with the command to sign."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from runner.app.apply import Applied, Question, RunHooks, apply
from runner.app.approvals import check_approvals, command_digests, requirements_of
from runner.app.author import acting_accounts
from runner.app.plan import read_manifest
from runner.app.plan_check import as_planned
from runner.app.plan_file import ApprovalBasis, PlanFile, SeenHistory, read_plan, write_plan
from runner.app.run_options import RunOptions
from runner.app.signals import RunOrders
from runner.core.errors import ManifestInvalid, UsageError
from runner.core.exit_code import ExitCode
from runner.core.gates import CommandGate
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import ApprovalPolicy, Environment, GatewayConstraints, Policy
from runner.core.manifest.model import Manifest as LoadedManifest
from runner.core.records.run_record import PlanFigures
from runner.core.timestamps import timestamp
from runner.core.transfer.outcome import Outcome
from runner.gateways.interaction_transfer.spec import SPEC as INTERACTION_WEBSOCKET
from runner.manifest.signers_file import read_signers
from runner.ports.journal_access import JournalAccess
from runner.schemas_lookup import schema
from runner.staging.rows import Staging
from runner.testing.observer import RecordingObserver
from tests.e2e.harness import REPORT_SCHEMA, run
from tests.signatures.openssh import keygen, make_key, needs_openssh, public, sign

pytestmark = needs_openssh
NOBODY: dict[str, str] = {}

MANIFEST = """\
version: 1
name: move
environments: {rehearsal: {driver: simulator, gateway: edge}}
gateways:
  edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus, pcmu, vp8], max_fps: 30}
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voice}
policy: {approvals: {required: 2, signers: allowed_signers}}
transfers:
  - {interaction_id: call-1, destination_uri: genesys://queue/billing}
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make the keys of people, once; one is the person who runs the tests."""
    folder = tmp_path_factory.mktemp("keys")
    return {who: make_key(folder / who) for who in ("alice", "bob", acting_accounts()[0])}


def signers_of(keys: dict[str, Path]) -> str:
    return "".join(f"{who}@example.net {public(key)}\n" for who, key in keys.items())


class Desk:
    """A plan in a folder, which people sign; nothing of it is sent."""

    def __init__(self, folder: Path, keys: dict[str, Path]) -> None:
        self.keys = keys
        self.folder = folder
        self.path = folder / "plan.json"
        (folder / "allowed_signers").write_text(signers_of(keys))
        self.manifest = LoadedManifest(
            path=str(folder / "m.yaml"),
            sha256="a" * 64,
            name="move",
            environment=Environment("production", INTERACTION_WEBSOCKET, "edge"),
            gateway=GatewayConstraints("edge", 1000, ("opus",), 30),
            callbacks={},
            policy=Policy(approvals=ApprovalPolicy(2, str(folder / "allowed_signers"))),
        )
        self.plan()

    def plan(self, **changes: Any) -> None:
        """Write the plan."""
        _, sha256 = read_signers(self.folder / "allowed_signers", "runner-plan")
        made = PlanFile(
            path=self.path,
            id="plan-1",
            created_at=timestamp(time.time()),
            batch="move",
            manifest=self.folder / "m.yaml",
            manifest_sha256="a" * 64,
            environment="production",
            options=RunOptions(self.path, rate_per_s=5.0),
            history=SeenHistory(JournalLocation(str(self.folder / "j.db"))),
            rows={},
            author=acting_accounts(),
            approval_basis=ApprovalBasis(sha256, command_digests(self.manifest)),
        )
        write_plan(replace(made, **changes), PlanFigures(0, 0, 0, 0, None))

    def sign(self, who: str, name: str = "", namespace: str = "runner-plan") -> None:
        """Sign the plan as it is."""
        made = sign(self.path.read_bytes(), self.keys[who], namespace)
        self.path.with_name(f"plan.json.{name or who}.sig").write_bytes(made)

    def apply(self, environ: dict[str, str] = NOBODY, **options: Any) -> list[str]:
        """Return who approved. Raises `ManifestInvalid`."""
        plan = read_plan(self.path)
        assert plan is not None
        request = replace(
            RunOptions(plan.manifest, plan=plan, journal=plan.history.location),
            **options,
        )
        return [each.who for each in check_approvals(request, self.manifest, environ)]

    def refusal(self, environ: dict[str, str] = NOBODY, **options: Any) -> str:
        """Return why the plan is refused, with the fix."""
        with pytest.raises(ManifestInvalid) as caught:
            self.apply(environ, **options)
        return "\n".join(f"{p.code} {p.message}\n{p.help}" for p in caught.value.problems)


@pytest.fixture
def desk(tmp_path: Path, keys: dict[str, Path]) -> Desk:
    return Desk(tmp_path, keys)


def test_a_plan_that_enough_people_signed_is_applied(desk: Desk):
    desk.sign("alice")
    desk.sign("bob")
    assert desk.apply() == ["alice@example.net", "bob@example.net"]


def test_a_refusal_has_the_exact_command_to_sign(desk: Desk):
    desk.sign("alice")
    refused = desk.refusal()
    assert refused.startswith("P003 1 of 2 approvals (policy.approvals): alice@example.net")
    command = f"ssh-keygen -Y sign -n runner-plan -f KEY < {desk.path} > {desk.path}.NAME.sig"
    assert refused.splitlines()[-1] == command


def test_two_signatures_of_one_person_are_one_approval(desk: Desk):
    desk.sign("alice", "laptop")
    desk.sign("alice", "phone")
    assert "phone.sig: alice@example.net has signed already, in another file" in desk.refusal()


def test_who_made_the_plan_does_not_approve_it(desk: Desk):
    desk.sign("alice")
    desk.sign(acting_accounts()[0])
    assert f"{acting_accounts()[0]}@example.net made the plan" in desk.refusal()


def test_who_rewrites_the_author_still_does_not_approve(desk: Desk):
    desk.plan(author=("nobody-else",))
    desk.sign("alice")
    desk.sign(acting_accounts()[0])
    refused = desk.refusal()
    assert refused.startswith("P003 1 of 3 approvals (policy.approvals): alice@example.net")
    owner = acting_accounts()[0]
    why = f"the file belongs to the account {owner}, and names nobody-else"
    assert f"one more than required, as nothing binds the author: {why}" in refused
    assert f"{owner}@example.net made the plan" in refused


def test_a_plan_that_others_may_write_needs_one_approval_more(desk: Desk):
    desk.sign("alice")
    desk.sign("bob")
    assert desk.apply()
    desk.path.chmod(0o660)
    refused = desk.refusal()
    assert "2 of 3 approvals" in refused
    assert "may write the file (chmod go-w)" in refused


def test_the_owner_of_a_plan_behind_a_link_is_who_owns_the_file(desk: Desk):
    desk.plan(author=("nobody-else",))
    hidden = desk.folder / "hidden.json"
    desk.path.rename(hidden)
    desk.path.symlink_to(hidden)
    desk.sign("alice")
    desk.sign("bob")
    assert "2 of 3 approvals" in desk.refusal()


def test_a_plan_that_was_changed_by_one_byte_is_not_approved(desk: Desk):
    desk.sign("alice")
    desk.sign("bob")
    with desk.path.open("a") as file:
        file.write(" ")
    refused = desk.refusal()
    assert "0 of 2 approvals" in refused
    assert "plan.json.bob.sig: it is not a signature of this file" in refused


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 20_000, b"-----BEGIN SSH SIGNATURE-----\n" * 3, b"\xff\xfe", None],
    ids=["empty", "large", "cut", "binary", "pipe"],
)
def test_a_hostile_signature_is_named_and_the_others_count(desk: Desk, content: bytes | None):
    hostile = desk.path.with_name("plan.json.\x1b[31m.sig")
    if content is None:
        os.mkfifo(hostile)
    else:
        hostile.write_bytes(content)
    desk.sign("alice")
    assert "plan.json.\x1b[31m.sig: it " in desk.refusal()
    desk.sign("bob")
    assert len(desk.apply()) == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rate_per_s": 6.0}, "--rate is above the plan's, 5/s"),
        ({"new_history": True}, "--new-history waives a history, which the plan does not"),
        ({"journal": JournalLocation("other.db")}, "--journal is not the plan's"),
    ],
)
def test_options_that_loosen_an_approved_plan_are_refused(
    desk: Desk, options: dict[str, Any], why: str
):
    desk.sign("alice")
    desk.sign("bob")
    assert f"P003 {why}" in desk.refusal(**options)


def test_a_lower_rate_needs_no_new_approval(desk: Desk):
    desk.sign("alice")
    desk.sign("bob")
    assert desk.apply(rate_per_s=1.0)


@pytest.mark.parametrize(
    ("created_at", "why"),
    [
        (timestamp(0), "lapses after 24 h 00 min (max_age)"),
        ("2999-01-01T00:00:00Z", "was made in the future"),
        ("yesterday", "is not a valid date and time"),
    ],
)
def test_a_plan_lapses(desk: Desk, created_at: str, why: str):
    desk.plan(created_at=created_at)
    desk.sign("alice")
    desk.sign("bob")
    assert why in desk.refusal()


def test_a_signer_who_was_removed_or_added_since_makes_the_plan_stale(desk: Desk):
    desk.sign("alice")
    desk.sign("bob")
    with (desk.folder / "allowed_signers").open("a") as file:
        file.write("# a comment\n")
    assert "P002 the file of signers has changed since the plan" in desk.refusal()


def test_an_expired_signer_does_not_count(desk: Desk):
    (desk.folder / "allowed_signers").write_text(
        signers_of(desk.keys).replace(
            "bob@example.net ", 'bob@example.net valid-before="20200101" '
        )
    )
    desk.plan()
    desk.sign("alice")
    desk.sign("bob")
    assert "plan.json.bob.sig: the key of bob@example.net has expired" in desk.refusal()


def test_a_gates_command_that_changed_since_makes_the_plan_stale(desk: Desk):
    check = desk.folder / "check-site"
    check.write_text("exit 0\n")
    gate = CommandGate(name="site", command=("./check-site", "ams"))
    desk.manifest = replace(desk.manifest, gates={"site": gate})
    desk.plan()
    desk.sign("alice")
    desk.sign("bob")
    assert desk.apply()
    check.write_text("exit 1\n")
    assert "P002 `./check-site`, of the command of a gate, has changed" in desk.refusal()


def test_a_plan_of_where_no_approvals_were_required_is_made_anew(desk: Desk):
    desk.plan(author=(), approval_basis=None)
    desk.sign("alice")
    desk.sign("bob")
    assert "P003 the plan was made where no approvals were required" in desk.refusal()


def test_the_host_can_only_make_it_stricter(desk: Desk, tmp_path: Path):
    desk.sign("alice")
    desk.sign("bob")
    (tmp_path / "hosts").write_text(f"alice@example.net {public(desk.keys['alice'])}\n")
    assert desk.apply({"RUNNER_APPROVALS": f"1:{tmp_path}/hosts"}) == [
        "alice@example.net",
        "bob@example.net",
    ]
    refused = desk.refusal({"RUNNER_APPROVALS": f"2:{tmp_path}/hosts"})
    assert "1 of 2 approvals (RUNNER_APPROVALS): alice@example.net" in refused
    desk.manifest = replace(desk.manifest, policy=Policy())
    assert "0 of 1 approval" in desk.refusal({"RUNNER_APPROVALS": f"1:{_empty(tmp_path)}"})


def _empty(folder: Path) -> Path:
    (folder / "empty").write_text("# nobody\n")
    return folder / "empty"


@pytest.mark.parametrize(
    "text", ["2", "x:/etc/signers", "0:/etc/signers", "2:signers", "²:/s", ":"]
)
def test_a_wrong_variable_of_the_host_is_refused(desk: Desk, text: str):
    with pytest.raises(UsageError, match="RUNNER_APPROVALS is not N:FILE"):
        requirements_of(desk.manifest, {"RUNNER_APPROVALS": text})


def test_only_the_environments_that_are_named_need_approval(desk: Desk):
    policy = replace(desk.manifest.policy.approvals, environments=("production",))  # type: ignore[type-var]
    manifest = replace(desk.manifest, policy=Policy(approvals=policy))
    assert requirements_of(manifest, {})
    rehearsal = replace(manifest, environment=replace(manifest.environment, name="rehearsal"))
    assert not requirements_of(rehearsal, {})


@pytest.fixture
def folder(tmp_path: Path, keys: dict[str, Path]) -> Path:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "allowed_signers").write_text(signers_of(keys))
    return tmp_path


AFTER_A_PLAN = [
    "ssh-keygen -Y sign -n runner-plan -f KEY < plan.json > plan.json.NAME.sig",
    "runner approvals plan.json",
    "runner apply plan.json",
]


def offered(said: str) -> list[str]:
    """Return the commands that a result's text offers."""
    return [line.strip() for line in said.splitlines() if line.startswith("    ")]


def test_a_batch_is_planned_signed_listed_applied_and_its_audit_signed(
    folder: Path, keys: dict[str, Path]
):
    """The way of an approved batch, by the commands that its refusals offer."""

    def ran(*words: str) -> tuple[int, str]:
        ended = run(*words, cwd=folder, env={"XDG_STATE_HOME": str(folder / "state")})
        return ended.code, ended.out + ended.err

    code, said = ran("apply", "m.yaml")
    assert code == 3
    assert "policy.approvals requires that 2 people approve a plan" in said
    assert "runner plan m.yaml --out plan.json" in said
    assert "ssh-keygen -Y sign -n runner-plan -f KEY < plan.json > plan.json.NAME.sig" in said
    code, said = ran("plan", "m.yaml")
    assert code == 0
    assert offered(said) == ["runner plan m.yaml --out plan.json", *AFTER_A_PLAN]
    code, said = ran("plan", "m.yaml", "--out", "plan.json")
    assert (code, offered(said)) == (0, AFTER_A_PLAN)
    code, said = ran("plan", "m.yaml", "--out", "plan.json", "--output", "json")
    planned = json.JSONDecoder().raw_decode(said)[0]
    jsonschema_rs.validator_for(schema("result.v1")).validate(planned)
    assert [each["command"] for each in planned["next_steps"]] == AFTER_A_PLAN
    assert planned["plan"]["approvals"] == 2
    assert ran("approvals", "plan.json")[0] == 3
    for who in ("alice", "bob"):
        made = sign((folder / "plan.json").read_bytes(), keys[who])
        (folder / f"plan.json.{who}.sig").write_bytes(made)
    code, said = ran("approvals", "plan.json", "--output", "json")
    assert code == 0
    listed = json.loads(said)
    jsonschema_rs.validator_for(schema("result.v1")).validate(listed)
    assert [each["who"] for each in listed["required"][0]["given"]] == [
        "alice@example.net",
        "bob@example.net",
    ]
    (folder / "m.yaml").write_text(MANIFEST + "# later\n")
    code, said = ran("approvals", "plan.json")
    assert (code, said.startswith("not approved: ")) == (3, True)
    assert "cannot be applied: the manifest has changed since the plan of" in said
    (folder / "m.yaml").write_text(MANIFEST)
    code, said = ran("apply", "plan.json")
    assert code == 0, said
    report = json.loads((folder / "reports/move/latest/report.json").read_text())
    REPORT_SCHEMA.validate(report)
    assert [each["who"] for each in report["run"]["approvals"]] == [
        "alice@example.net",
        "bob@example.net",
    ]
    assert [each["what"] for each in report["decisions"]] == [
        f"approved {listed['plan']['id']}"
    ] * 2
    by = (
        f"the plan is by {', '.join(acting_accounts())}; the file belongs to {acting_accounts()[0]}"
    )
    assert [each["why"] for each in report["decisions"]] == [by] * 2
    assert "alice@example.net" in (folder / "reports/move/latest/report.html").read_text()
    audit = (folder / "reports/move/latest/audit.jsonl").read_text()
    assert f'"sha256":"{listed["plan"]["sha256"]}"' in audit
    assert ran("report", "latest", "--format", "md,json")[0] == 0
    assert "Approved by" in (folder / "reports/move/latest/report.md").read_text()
    _sign_audit(ran, folder, keys)


def _sign_audit(ran: Callable[..., tuple[int, str]], folder: Path, keys: dict[str, Path]) -> None:
    check = ("audit", "verify", "latest", "--signers", "allowed_signers")
    code, said = ran(*check)
    assert (code, "not signed" in said, "it was changed after" in said) == (1, True, False)
    assert ran("audit", "sign", "latest", "--key", str(keys["alice"]))[0] == 0
    code, said = ran(*check)
    assert (code, "signed by alice@example.net" in said) == (0, True)
    assert ran(*check, "--required", "2")[0] == 1
    code, said = ran("audit", "verify", "latest", "--required", "2")
    assert (code, "--signers FILE" in said) == (2, True)
    assert ran("audit", "sign", "latest", "--key", str(keys["bob"]))[0] == 0
    assert ran(*check, "--required", "2")[0] == 0
    latest = folder / "reports/move/latest"
    [signature] = (each for each in latest.glob("*.sig") if _is_of(each, latest, keys["bob"]))
    assert signature.name.startswith("head.json.")
    assert "none.json cannot be read: no such file" in ran("approvals", "none.json")[1]
    there = "reports/move/latest"
    for options in (
        (),
        ("--format", "csv"),
        ("--format", "pdf"),
        ("--out", there),
        ("--out", f"{there}/report.html"),
        ("--out", f"{there}/report.csv"),
        ("--out", f"{there}/report.pdf"),
    ):
        code, said = ran("report", "latest", *options)
        assert (code, "was signed, and would not be" in said) == (2, True), options
        assert "--out FOLDER" in said
    assert ran("report", "latest", "--out", f"{there}/for-the-ticket.csv")[0] == 0
    assert ran("report", "latest", "--out", "copy")[0] == 0
    assert ran(*check)[0] == 0
    for name in ("report.csv", "report.pdf"):
        (latest / name).write_text("key,outcome\n")
        code, said = ran(*check)
        assert (code, f"nobody has signed {name} beside it; move it" in said) == (1, True)
        assert "it was changed after" not in said
        (latest / name).unlink()
    assert ran(*check)[0] == 0
    with (latest / "report.html").open("a") as file:
        file.write(" ")
    code, said = ran("audit", "verify", str(latest), "--signers", "allowed_signers")
    assert (code, "report.html is not what was signed" in said) == (1, True)
    assert ran("audit", "sign", "latest", "--key", str(keys["bob"]))[0] == 2
    shutil.copy(folder / "m.yaml", latest / "head.json")
    assert ran(*check)[0] == 1
    code, said = ran("audit", "sign", "latest", "--key", str(keys["bob"]))
    assert (code, "head.json is damaged" in said) == (2, True)
    (latest / "head.json").unlink()
    (latest / "head.json").mkdir()
    code, said = ran("audit", "sign", "latest", "--key", str(keys["bob"]))
    assert (code, "head.json cannot be read" in said) == (2, True)


def _is_of(signature: Path, folder: Path, key: Path) -> bool:
    """Return whether OpenSSH's own program says that a key signed the head."""
    (folder.parent / "one").write_text(f"one {public(key)}\n")
    words = ("-Y", "verify", "-n", "runner-audit", "-f", folder.parent / "one", "-I", "one", "-s")
    head = (folder / "head.json").read_bytes()
    return keygen(*words, signature, text=head).returncode == 0


def test_an_undo_is_planned_beside_the_plan_that_was_approved(folder: Path):
    """Every command that is offered: the plan of the batch has the name that is offered for it."""
    (folder / "undo.yaml").write_text(MANIFEST + "reverts: run-1\n")
    refused = run("apply", "undo.yaml", cwd=folder)
    assert refused.code == 3
    assert "error[P003]" in refused.err
    assert "runner plan undo.yaml --out undo-plan.json" in refused.err
    assert "runner apply undo-plan.json" in refused.err
    assert " plan.json" not in refused.err


def test_signers_who_look_alike_are_a_problem_of_the_manifest(folder: Path, keys: dict[str, Path]):
    lines = signers_of(keys)
    for line, name, why in (
        (1, "al\u200bice", "a character that nobody sees, U+200B"),
        (len(keys) + 1, "b\u043eb@example.net", "mixes letters of Cyrillic and Latin"),
        (len(keys) + 1, "b0b@example.net", "looks like 'bob@example.net' of line 2"),
    ):
        look_alike = f"{name} {public(keys['alice'])}\n"
        (folder / "allowed_signers").write_text(
            look_alike + lines if line == 1 else lines + look_alike
        )
        ended = run("apply", "m.yaml", "--validate-only", cwd=folder)
        assert ended.code == 3
        assert (f"allowed_signers:{line}:1" in ended.err, why in ended.err) == (True, True), why
    (folder / "allowed_signers").write_text(
        f'alice {public(keys["alice"])}\n"ALICE\u00a0" {public(keys["bob"])}\n'
    )
    ended = run("apply", "m.yaml", "--validate-only", cwd=folder)
    assert "2 approvals cannot be given: `allowed_signers` names 1 person" in ended.err


def test_signers_that_cannot_approve_are_a_problem_of_the_manifest(folder: Path):
    (folder / "allowed_signers").write_text("alice\n*@example.net ssh-ed25519 AAAA\n")
    ended = run("apply", "m.yaml", "--validate-only", cwd=folder)
    assert ended.code == 3
    assert "allowed_signers:1:1" in ended.err
    (folder / "allowed_signers").write_text("# nobody\n")
    ended = run("apply", "m.yaml", "--validate-only", cwd=folder)
    assert "2 approvals cannot be given: `allowed_signers` names 0 people" in ended.err
    (folder / "allowed_signers").unlink()
    ended = run("apply", "m.yaml", "--validate-only", cwd=folder)
    assert "R012" in ended.err
    assert "cannot be read: no such file" in ended.err


class Site:
    """A batch whose plan has two signatures, applied in this process."""

    def __init__(self, folder: Path, keys: dict[str, Path], manifest: str = MANIFEST) -> None:
        self.folder = folder
        (folder / "m.yaml").write_text(manifest)
        made = run("plan", "m.yaml", "--out", "plan.json", cwd=folder)
        assert made.code == 0, made.err
        for who in ("alice", "bob"):
            signature = sign((folder / "plan.json").read_bytes(), keys[who])
            (folder / f"plan.json.{who}.sig").write_bytes(signature)

    def withdraw(self) -> None:
        """Take one signature back."""
        (self.folder / "plan.json.bob.sig").unlink()

    def apply(
        self, confirm: Callable[[Question], bool], journal: Callable[[JournalAccess], Any]
    ) -> Applied:
        """Apply the plan."""
        given = RunOptions(self.folder / "plan.json", self.folder / "reports")
        request = as_planned(given)
        with Staging() as staging:
            manifest, _ = read_manifest(request, staging)
            access = journal(request.journal_access(manifest))
            hooks = RunHooks(RecordingObserver(), RunOrders(), confirm, journal=access)
            return apply(request, manifest, staging, hooks)


class WaitedFor:
    """A journal whose lock something happens before: it was waited for."""

    def __init__(self, journal: Any, meanwhile: Callable[[], None]) -> None:
        self._journal = journal
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def lock(self) -> Any:
        """Let it happen, and return the lock."""
        self._meanwhile()
        return self._journal.lock()


def test_what_is_no_longer_approved_once_the_lock_is_free_is_refused(
    folder: Path, keys: dict[str, Path]
):
    site = Site(folder, keys)
    with pytest.raises(ManifestInvalid) as caught:
        site.apply(lambda _question: True, lambda journal: WaitedFor(journal, site.withdraw))
    [problem] = caught.value.problems
    assert (problem.code, "1 of 2 approvals" in problem.message) == ("P003", True)


def test_what_is_no_longer_approved_once_the_prompt_is_answered_is_not_sent(
    folder: Path, keys: dict[str, Path]
):
    site = Site(folder, keys)

    def answer(_question: Question) -> bool:
        site.withdraw()
        return True

    applied = site.apply(answer, lambda journal: journal)
    assert applied.code is ExitCode.STOPPED
    assert applied.summary.counts[Outcome.TRANSFERRED] == 0
    why = applied.source.run.explanation or ""
    assert why.startswith("no longer approved: 1 of 2 approvals")


def test_a_gates_command_that_changes_during_the_run_fails(folder: Path, keys: dict[str, Path]):
    check = folder / "check-site"
    check.write_text("#!/bin/sh\necho '# looser' >> check-site\n")  # it passes, and changes
    check.chmod(0o755)
    gated = MANIFEST.replace(
        "policy: {",
        "gates: {site: {command: [./check-site]}}\n"
        "policy: {waves: [{size: 1, gates: [site]}, {size: 100%, gates: [site]}], ",
    )
    another = "  - {interaction_id: call-2, destination_uri: genesys://queue/billing}\n"
    site = Site(folder, keys, gated + another)
    applied = site.apply(lambda _question: True, lambda journal: journal)
    assert applied.code is ExitCode.STOPPED
    assert applied.summary.counts[Outcome.TRANSFERRED] == 1
    why = applied.source.run.explanation or ""
    assert "./check-site: changed since the plan that was approved" in why


def test_two_rows_for_one_digest_are_not_to_be_found(folder: Path, keys: dict[str, Path]):
    """A maker who finds two could have one signed, and move the other: 160 bits keep that away."""
    Site(folder, keys)
    [[_, _, digest]] = json.loads((folder / "plan.json").read_text())["rows"]
    assert len(digest) == 40
