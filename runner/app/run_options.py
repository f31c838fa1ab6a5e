"""The options of `apply` and `plan`, as a value."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from runner.app.gateway_identity import lane_of
from runner.app.plan_file import PlanFile
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Environment, Limits, Manifest, Policy
from runner.core.manifest.quantity import Amount, Share
from runner.journals import default_journal, journal_at
from runner.ports.journal_access import JournalAccess
from runner.staging.rows import Selection


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options that `apply` and `plan` share; None where none was given."""

    manifest: Path
    environment: str | None = None
    only: tuple[str, ...] = ()
    limit: int | None = None
    rate_per_s: float | None = None
    in_flight: int | None = None
    max_failures: Amount | None = None
    report_dir: Path = Path("reports")
    journal: JournalLocation | None = None
    lock_timeout_s: float = 0.0
    again: bool = False
    new_history: bool = False
    validate_only: bool = False
    without_secrets: bool = False  # with validate_only: references are checked for their form
    ignore_window: bool = False  # of a rehearsal
    plan: PlanFile | None = None  # which the run is held to

    @property
    def selection(self) -> Selection:
        """Which rows may be sent; a plan's own limit is in its rows."""
        limit = self.limit if self.plan is None else None
        return Selection(self.only, limit, self.again)

    def journal_access(self, manifest: Manifest) -> JournalAccess:
        """Return the journal: the one that is named, or the environment's beside the manifest."""
        if self.journal is not None:
            return journal_at(self.journal).for_lane(lane_of(manifest))
        return journal_at(default_journal(Path(manifest.path), manifest.environment.name))

    def limits(self, environment: Environment) -> Limits:
        """Return the limits in force: options only ever lower what the manifest allows."""
        limits = environment.limits
        rates = [rate for rate in (limits.rate_per_s, self.rate_per_s) if rate is not None]
        in_flight = [n for n in (limits.in_flight, self.in_flight) if n is not None]
        return replace(limits, rate_per_s=min(rates, default=None), in_flight=min(in_flight))

    def policy(self, policy: Policy) -> Policy:
        """Return the policy in force: an option takes the place of what the manifest says."""
        window = None if self.ignore_window else policy.window
        if self.max_failures is None:
            return replace(policy, window=window)
        return replace(policy, window=window, max_failures=self.max_failures)

    def given_options(self) -> dict[str, Any]:
        """Return the options that were given, as the report shows them."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        given |= {"manifest": None, "plan": None if self.plan is None else self.plan.path}
        return {
            name: str(value) if isinstance(value, Path | Share | JournalLocation) else value
            for name, value in given.items()
            if value not in (None, ())
        }
