"""Builds where messages about a run go, as frozen values."""

from __future__ import annotations

from importlib.util import find_spec

from runner.core.diagnostics.problem import Problem, Severity
from runner.core.manifest.model import NOTIFICATION_EVENTS, Environment, Notification
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.secret_references import SecretPolicy
from runner.manifest.sections.secrets import resolve_reference


def build_notifications(
    document: Document, environment: Environment, problems: Collector, *, secrets: SecretPolicy
) -> tuple[Notification, ...]:
    """Return the addresses, resolved; a rehearsal does without those that cannot be."""
    written = document.tree.root.get("notify", [])
    if written and find_spec("apprise") is None:
        message = "`notify`: the library Apprise is not installed, so that no message is sent"
        place = document.tree.key(document.tree.root, "notify")
        fix = "pip install 'interaction-runner[notify]'"
        problems.add(Problem("S012", message, place, fix, Severity.WARNING))
    own = Collector() if environment.is_simulated else problems
    return tuple(
        Notification(
            name=f"notify[{index}]",
            url=resolve_reference(document, each, "url", own, secrets=secrets),
            on=frozenset(each.get("on", NOTIFICATION_EVENTS)),
        )
        for index, each in enumerate(written)
    )


def refuse_notifications(document: Document, problems: Collector) -> None:
    """Add a problem for a submission that would have a worker call addresses of its choice."""
    if document.tree.root.get("notify"):
        message = "`notify`: a worker sends no messages that are submitted"
        place = document.tree.key(document.tree.root, "notify")
        fix = "submit it without `notify`, or apply it yourself"
        problems.add(Problem("R001", message, place, fix))
