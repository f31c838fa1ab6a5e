"""Delivers one message by the library Apprise; never says where to, because addresses hold tokens."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from runner.core.urls import is_loopback

MISSING = "the library Apprise is not installed: pip install 'interaction-runner[notify]'"
SUPPRESSED = "not a loopback address; under the simulator nothing else is called"

_OWN_HOST = frozenset({"JSON", "XML", "Form"})
"""Services of Apprise that call the host which the address names, and no other."""


def is_installed() -> bool:
    """Return whether the library is there."""
    return find_spec("apprise") is not None


def deliver(url: str, title: str, body: str, *, simulated: bool) -> str | None:
    """Send a message; return why it was not delivered, or None. Blocks; raises nothing.

    Under the simulator only webhooks to loopback addresses are called.
    """
    if not is_installed():
        return MISSING
    for name in ("apprise", "urllib3", "requests"):  # what they log may hold tokens
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    try:
        from apprise import Apprise, NotifyFormat  # noqa: PLC0415 - it takes a second

        service = Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            return "its address is not one that Apprise knows"
        if simulated and not _is_local(service):
            return SUPPRESSED
        messenger = Apprise()
        messenger.add(service)
        if messenger.notify(body=body, title=title, body_format=NotifyFormat.TEXT):
            return None
    except Exception as error:  # noqa: BLE001 - of whatever service; it must not end the run
        return f"the service failed ({type(error).__name__})"
    return "the service did not accept it, or could not be reached"


def _is_local(service: object) -> bool:
    host = str(getattr(service, "host", "")).strip("[]")
    return getattr(service, "service_name", None) in _OWN_HOST and is_loopback(host)
