"""Who calls: what every way of telling has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tasker.operations.principal import Principal


class Authenticator(Protocol):
    """Tells from a request's headers who calls. Names of headers are in lower case; gRPC's metadata are headers too."""

    async def authenticate(self, headers: Mapping[str, str]) -> Principal | None:
        """The caller; None where the headers hold no credentials that this authenticator knows.

        Raises Unauthenticated for credentials that it does not accept, Forbidden for a caller who may nothing here.
        """
        ...
