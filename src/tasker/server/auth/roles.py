"""Roles, where servers and the applications that embed them look for them; operations know them too."""

from tasker.operations.roles import ROLES as ROLES
from tasker.operations.roles import all_roles as all_roles
from tasker.operations.roles import checked as checked
from tasker.operations.roles import no_such as no_such
from tasker.operations.roles import of_roles as of_roles
