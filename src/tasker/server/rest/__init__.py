"""The operations over HTTP, with the routes and words of tasker-core's API."""

from __future__ import annotations

from tasker.server.rest.app import create_app as create_app
