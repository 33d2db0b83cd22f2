"""The text of API keys, where servers look for it; operations make keys too."""

from tasker.operations.key_texts import MARK as MARK
from tasker.operations.key_texts import UNKEYED as UNKEYED
from tasker.operations.key_texts import ApiKey as ApiKey
from tasker.operations.key_texts import ServerSecret as ServerSecret
from tasker.operations.key_texts import matches as matches
from tasker.operations.key_texts import new_key as new_key
from tasker.operations.key_texts import parse_key as parse_key
from tasker.operations.key_texts import secrets_of as secrets_of
from tasker.operations.key_texts import server_secret as server_secret
