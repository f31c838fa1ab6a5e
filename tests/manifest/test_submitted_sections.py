"""A worker neither waives approvals nor calls addresses that a submission chose."""

from __future__ import annotations

from pathlib import Path

from runner.manifest.load import Overrides, load
from runner.manifest.own_sections import read_own_sections
from tests.manifest.rendering import ListSink

SHARED = """\
environments: {rehearsal: {driver: simulator, gateway: edge}}
gateways:
  edge: {max_bandwidth_kbps: 2048, supported_codecs: [opus], max_fps: 30}
"""
SUBMITTED = (
    SHARED
    + """\
version: 1
name: move
media: {voice: {audio: {codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}
defaults: {media: voice}
policy: {approvals: {required: 1, signers: allowed_signers}}
notify: [{url: {env: HOME}}]
transfers:
  - {interaction_id: call-1, destination_uri: genesys://queue/billing}
"""
)


def test_a_submission_that_needs_approvals_or_sends_messages_is_refused(tmp_path: Path):
    (tmp_path / "worker.yaml").write_text(SHARED)
    (tmp_path / "m.yaml").write_text(SUBMITTED)
    _, own = read_own_sections(tmp_path / "worker.yaml", ())
    loaded = load(
        tmp_path / "m.yaml",
        environment=None,
        sink=ListSink(),
        offline=True,
        overrides=Overrides(own=own),
    )
    assert loaded.manifest is None
    assert [(problem.code, problem.message) for problem in loaded.problems] == [
        ("R012", "a worker carries nothing that needs approvals"),
        ("R001", "`notify`: a worker sends no messages that are submitted"),
    ]
