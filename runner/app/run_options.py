"""What one call of `apply` or `plan` is asked to do, and what that changes in the manifest."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from runner.app.gateway_identity import lane_of
from runner.app.plan_file import PlanFile
from runner.core.batch_options import BatchOptions
from runner.core.batch_options import to_json as option_json
from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.manifest.model import Environment, Limits, Manifest, Policy
from runner.core.manifest.recurring_window import NO_WINDOWS
from runner.core.next_steps import RunArguments
from runner.core.transfer.probe import Probe
from runner.journals import default_journal, journal_at
from runner.manifest.load import Overrides
from runner.ports.journal_access import JournalAccess
from runner.staging.rows import Selection


@frozen
class RunOptions(BatchOptions):
    """What `apply` and `plan` are asked to do."""

    manifest: Path
    report_dir: Path = Path("reports")
    validate_only: bool = False
    plan: PlanFile | None = None  # which the run is held to
    probe: Probe | None = None  # which is made instead of the batch

    @property
    def selection(self) -> Selection:
        """Which rows may be sent; a plan's own limit is in its rows."""
        limit = self.limit if self.plan is None else None
        return Selection(self.only, self.exclude, limit=limit, again=self.again)

    @property
    def overrides(self) -> Overrides:
        """How the options change the manifest while it is loaded."""
        return Overrides(self.limits, self.limit, self.ignore_window, self.without_secrets)

    def journal_access(self, manifest: Manifest) -> JournalAccess:
        """Return the journal: the one that is named, or the environment's beside the manifest."""
        if self.journal is not None:
            return journal_at(self.journal).for_lane(lane_of(manifest))
        return journal_at(default_journal(Path(manifest.path), manifest.environment.name))

    def arguments(self, manifest: Manifest) -> RunArguments:
        """Return what the commands of next steps repeat."""
        return RunArguments(
            manifest=manifest.path,
            environment=manifest.environment.name,
            options=BatchOptions(**self.given()),
            report_dir=str(self.report_dir),
            plan=None if self.plan is None else str(self.plan.path),
            folder=str(Path.cwd()),
            probe=self.probe,
        )

    def limits(self, environment: Environment) -> Limits:
        """Return the limits in force: options only ever lower what the manifest allows."""
        limits = environment.limits
        rates = [rate for rate in (limits.rate_per_s, self.rate_per_s) if rate is not None]
        in_flight = [n for n in (limits.in_flight, self.in_flight) if n is not None]
        return replace(limits, rate_per_s=min(rates, default=None), in_flight=min(in_flight))

    def policy(self, policy: Policy) -> Policy:
        """Return the policy in force: an option takes the place of what the manifest says."""
        if self.ignore_window:
            policy = replace(policy, window=None, windows=NO_WINDOWS)
        if self.max_failures is None:
            return policy
        return replace(policy, max_failures=self.max_failures)

    def check(self, environment: Environment) -> None:
        """Raise `UsageError` for an option without its counterpart, or not for this environment."""
        if (self.only_outcome is None) != (self.of is None):
            raise UsageError("--only-outcome and --of belong together: outcomes, and of which run")
        if self.ignore_window and not environment.is_simulated:
            raise UsageError(
                f"--ignore-window is for rehearsals, and environment {environment.name} moves live"
                f" interactions (driver {environment.driver_name}): leave it out, or choose an"
                " environment with `driver: simulator` by --env"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the options as the report shows them; what was not given is left out."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"manifest": None, "plan": None if self.plan is None else self.plan.path}
        return {
            name: str(value) if isinstance(value, Path) else option_json(value)
            for name, value in values.items()
            if value not in (None, ())
        }
