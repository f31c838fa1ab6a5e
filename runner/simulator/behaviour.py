"""The limits and promises of an embedded gateway of any platform."""

from __future__ import annotations

from runner.core.frozen import frozen
from runner.core.transfer.doubt_evidence import Dedupes, Expires, Promise


@frozen
class GatewayBehaviour:
    """The limits and promises of the gateway, beyond the manifest's options.

    `rate_per_s` and `burst`: more frames than their sum in any second are answered
    `rate_limited`. `dedupes` and `expires_s` are the promises of recovery.md,
    "In doubt"; look-ups lag behind effects by `visible_s`.
    """

    rate_per_s: float | None = None
    burst: int = 1
    dedupes: bool = False
    expires_s: float | None = None
    visible_s: float = 0.0

    @classmethod
    def keeping(cls, promise: Promise, *, rate_per_s: float | None = None) -> GatewayBehaviour:
        """Return the behaviour of a gateway that keeps only `promise`."""
        match promise:
            case Dedupes():
                return cls(rate_per_s, dedupes=True)
            case Expires(expires_s, visible_s, _):
                return cls(rate_per_s, expires_s=expires_s, visible_s=visible_s)
            case None:
                return cls(rate_per_s)
