"""Sets Django up in a process that Django did not start, such as a worker's; it holds no handlers.

Named before the modules with handlers, so that those may import models.
"""

from __future__ import annotations

import django
from django.apps import apps

if not apps.ready:
    django.setup()
