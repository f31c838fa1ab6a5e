"""Regions: the addresses that a region's name stands for (manifest.md, "Regions")."""

from __future__ import annotations

from runner.core.manifest.model import Driver, Endpoints

INTERACTION_WEBSOCKET_REGIONS: dict[str, Endpoints] = {
    "us": Endpoints(
        token_url="https://api.us.mypurecloud.com/oauth/token",  # noqa: S106 - an address
        api_url="https://api.us.mypurecloud.com",
        websocket_url="wss://api.us.mypurecloud.com/api/v2/websocket",
    ),
}
"""What the driver `interaction-websocket` knows; other places are named by `endpoints`."""

_GENESYS_CLOUD_DOMAINS = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",  # FedRAMP
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
}


def _genesys_cloud(domain: str) -> Endpoints:
    return Endpoints(f"https://login.{domain}/oauth/token", f"https://api.{domain}")


GENESYS_CLOUD_REGIONS: dict[str, Endpoints] = {
    name: _genesys_cloud(domain)
    for region, domain in _GENESYS_CLOUD_DOMAINS.items()
    for name in (region, domain)
}
"""What the driver `genesys-cloud` knows: an AWS region, or its domain."""

REGIONS = {
    Driver.INTERACTION_WEBSOCKET: INTERACTION_WEBSOCKET_REGIONS,
    Driver.GENESYS_CLOUD: GENESYS_CLOUD_REGIONS,
}
"""Of each driver that knows any."""
