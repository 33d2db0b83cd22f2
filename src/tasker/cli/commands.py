"""Every command: where it is, what it does in a line, and an example. Imports nothing heavy."""

from __future__ import annotations

from tasker.cli.command import Command
from tasker.cli.operating import OPERATING

GROUPS = {
    "task": "Submit tasks, look at them, act on them.",
    "step": "Repair the steps of a task by hand.",
    "template": "Check, publish and draw templates.",
    "handler": "See what handlers templates need, and which workers have them.",
    "worker": "Look after the workers that run.",
    "queue": "See what waits, and pause it.",
    "bulk": "Do one thing to many tasks.",
    "dlq": "Look after tasks that need somebody.",
    "analytics": "See how tasks and steps fare.",
    "breaker": "See which outside systems are down, and keep steps from them.",
    "events": "See what steps have told the world.",
    "db": "Look after the database.",
    "config": "Look at the settings.",
    "auth": "Say who may call the server.",
    "auth key": "Make and end API keys.",
    "auth token": "Make keys and tokens for tests and development.",
}

COMMANDS = (
    Command(
        "demo",
        "tasker.cli.running:demo",
        "Watch a checkout fail, recover and complete, on a real PostgreSQL.",
        "tasker demo",
    ),
    Command(
        "dev",
        "tasker.cli.dev:dev",
        "Serve and work for development: begin anew when templates or handlers change.",
        "tasker dev --templates config/tasks --handlers shop.handlers",
    ),
    Command(
        "worker",
        "tasker.cli.running:worker",
        "Run steps until SIGTERM, which lets running steps finish; a second signal stops at once.",
        "tasker worker --templates config/tasks --handlers shop.handlers --processes 2",
    ),
    Command(
        "server",
        "tasker.cli.running:server",
        "Serve the HTTP API until SIGTERM, which lets requests finish.",
        "tasker server --templates config/tasks --port 8080",
    ),
    Command(
        "bench",
        "tasker.cli.running:bench",
        "Measure Tasker on this machine, beside a bare engine.",
        "tasker bench --shape diamond --json",
    ),
    Command(
        "task submit",
        "tasker.cli.submit:submit",
        "Create a task.",
        """tasker task submit ecommerce/process_order --context @order.json --key order-17 --wait""",
    ),
    Command(
        "task list",
        "tasker.cli.task:list_tasks",
        "List tasks, newest first.",
        "tasker task list --state error --namespace ecommerce --since 2h",
    ),
    Command(
        "task get",
        "tasker.cli.task:get",
        "Show a task: its state, steps, results and errors.",
        "tasker task get 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task steps",
        "tasker.cli.task:steps",
        "Show the steps of a task, and what each waits for.",
        "tasker task steps 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task history",
        "tasker.cli.task:history",
        "Show every move of a task and its steps, in order.",
        "tasker task history 0198c0de-0000-7000-8000-000000000001 --step charge_card",
    ),
    Command(
        "task summary",
        "tasker.cli.task:summary",
        "Show where a task's time went, and the way that decided how long it took.",
        "tasker task summary 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task batches",
        "tasker.cli.batches:batches",
        "Show how far the batches of a task have come.",
        "tasker task batches 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task why",
        "tasker.cli.explaining:why",
        "Say what keeps each open step of a task from going on.",
        "tasker task why 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task analyze",
        "tasker.cli.analytics:analyze",
        "Show a task as a graph at work: levels, longest ways, what holds it up.",
        "tasker task analyze 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task wait",
        "tasker.cli.waiting:wait",
        "Wait until a task has ended; the exit code says how.",
        "tasker task wait 0198c0de-0000-7000-8000-000000000001 --timeout 60",
    ),
    Command(
        "task watch",
        "tasker.cli.waiting:watch",
        "Show the steps of a task live until it has ended.",
        "tasker task watch 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task cancel",
        "tasker.cli.acting:cancel",
        "End a task: what has not run will not, what runs is told to stop.",
        "tasker task cancel 0198c0de-0000-7000-8000-000000000001 --reason 'ordered twice'",
    ),
    Command(
        "task pause",
        "tasker.cli.acting:pause",
        "Hand out no further steps of a task until it is resumed.",
        "tasker task pause 0198c0de-0000-7000-8000-000000000001 --reason 'stock-taking'",
    ),
    Command(
        "task resume",
        "tasker.cli.acting:resume",
        "Let a paused task go on.",
        "tasker task resume 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "task rerun",
        "tasker.cli.rerunning:rerun",
        "Run a task again from one of its steps, as a new task, with another input if you like.",
        """tasker task rerun 0198c0de-0000-7000-8000-000000000001 --from charge_card --patch '{"tax": 7}' --dry-run""",
    ),
    Command(
        "task lineage",
        "tasker.cli.rerunning:lineage",
        "Show which reruns a task belongs to.",
        "tasker task lineage 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "step retry",
        "tasker.cli.acting:retry",
        "Run a failed step again, with all its tries.",
        "tasker step retry 0198c0de-0000-7000-8000-000000000001 charge_card --reason 'gateway is back'",
    ),
    Command(
        "step resolve",
        "tasker.cli.acting:resolve",
        "Count a step as done by hand, without a result: what depends on it goes on.",
        "tasker step resolve 0198c0de-0000-7000-8000-000000000001 send_mail --reason 'customer was called'",
    ),
    Command(
        "step complete",
        "tasker.cli.acting:complete",
        "Give a step its result by hand: what depends on it goes on with that.",
        """tasker step complete 0198c0de-0000-7000-8000-000000000001 charge_card --result '{"payment_id": "p1"}'""",
    ),
    Command(
        "template validate",
        "tasker.cli.template:validate",
        "Check template files, and with --handlers that every handler exists.",
        "tasker template validate config/tasks --handlers shop.handlers",
    ),
    Command(
        "template publish",
        "tasker.cli.template:publish",
        "Store template files in the database: all, or none if one is refused.",
        "tasker template publish config/tasks",
    ),
    Command(
        "template list",
        "tasker.cli.template:list_templates",
        "List published templates.",
        "tasker template list --namespace ecommerce --all",
    ),
    Command(
        "template show",
        "tasker.cli.template:show",
        "Print a published template as YAML.",
        "tasker template show ecommerce/process_order@1.0.0",
    ),
    Command(
        "template graph",
        "tasker.cli.template:graph",
        "Draw the graph of a template, published or in a file.",
        "tasker template graph ecommerce/process_order --mermaid",
    ),
    Command(
        "template diff",
        "tasker.cli.discovery:diff",
        "Show what two published versions differ in; the exit code says whether they do.",
        "tasker template diff ecommerce/process_order@1.0.0 1.1.0",
    ),
    Command(
        "db migrate",
        "tasker.cli.db:migrate",
        "Bring the database's schema to this version.",
        "tasker db migrate --print-sql",
    ),
    Command(
        "db status",
        "tasker.cli.db:status",
        "Show which database is used, its schema, and what lies in it. Starts nothing.",
        "tasker db status --json",
    ),
    Command(
        "db doctor",
        "tasker.cli.db:doctor",
        "Check the server, and that the engine's tables agree with each other.",
        "tasker db doctor --repair",
    ),
    Command(
        "db prune",
        "tasker.cli.pruning:prune",
        "Delete tasks that ended long ago, with all that is written about them.",
        "tasker db prune --older-than 30d --yes",
    ),
    Command(
        "db stop",
        "tasker.cli.db:stop",
        "Stop the embedded PostgreSQL of this project, whoever uses it.",
        "tasker db stop",
    ),
    Command(
        "config show",
        "tasker.cli.config:show",
        "Show every setting, its value, and where that comes from.",
        "tasker config show --changed",
    ),
    Command(
        "config explain",
        "tasker.cli.config:explain",
        "Say what a setting means, and what it is here.",
        "tasker config explain lease_s",
    ),
    Command(
        "config validate",
        "tasker.cli.config:validate",
        "Check the settings that count here, or one file.",
        "tasker config validate tasker.toml",
    ),
    Command(
        "auth key create",
        "tasker.cli.auth_keys:create",
        "Make an API key. It is printed once, and nobody can read it again.",
        "tasker auth key create shop --role submitter --namespace ecommerce --expires 90d",
    ),
    Command(
        "auth key list",
        "tasker.cli.auth_keys:list_keys",
        "List API keys: what they may, and when they were used.",
        "tasker auth key list --all",
    ),
    Command(
        "auth key rotate",
        "tasker.cli.auth_keys:rotate",
        "Make a key that takes the place of another, which ends after a while.",
        "tasker auth key rotate k7cqz3vnw2ma --grace 1d",
    ),
    Command(
        "auth key revoke",
        "tasker.cli.auth_keys:revoke",
        "End an API key: within 5 seconds no server takes it.",
        "tasker auth key revoke k7cqz3vnw2ma",
    ),
    Command(
        "auth refusals",
        "tasker.cli.auth_refusals:refusals",
        "List calls that were refused: whose, what for, from where, how often.",
        "tasker auth refusals --since 24h --reason forbidden",
    ),
    Command(
        "auth token keys",
        "tasker.cli.auth_tokens:keys",
        "Make a pair of keys: one signs tokens, the other goes to servers.",
        "tasker auth token keys --out secrets --algorithm ES256",
    ),
    Command(
        "auth token create",
        "tasker.cli.auth_tokens:create",
        "Sign a token with a private key.",
        "tasker auth token create --private-key secrets/private.pem --subject ann --role viewer --namespace shop",
    ),
    Command(
        "auth check",
        "tasker.cli.auth_check:check",
        "Check who somebody is and what they may, by the key or token that a server would see.",
        "tasker auth check key.txt --permission tasks:create --namespace ecommerce",
    ),
    Command(
        "auth permissions",
        "tasker.cli.auth_check:permissions",
        "List the permissions there are, and the roles.",
        "tasker auth permissions",
    ),
    *OPERATING,
)

_ABOUT = "Multi-step business processes as reliable as database transactions."
_END = """\
Without TASKER_DATABASE_URL or --database-url, commands use a PostgreSQL that Tasker runs for this project. Those about
tasks and who may work on a server as well: --url, --profile, TASKER_URL, TASKER_PROFILE.
`tasker COMMAND --help` says more, with an example; --json prints one JSON document."""


def overview() -> str:
    """What `tasker --help` prints."""
    width = max(len(command.words) for command in COMMANDS) + 2
    lines = ["Usage: tasker COMMAND", "", _ABOUT]
    for group in ("", *(words for words in GROUPS if " " not in words)):
        commands = [c for c in COMMANDS if (c.words.split()[0] if " " in c.words else "") == group]
        lines += ["", *(f"  {command.words:{width}}{command.summary}" for command in commands)]
    return "\n".join([*lines, "", "  --version".ljust(width + 2) + "Print the version.", "", _END])
