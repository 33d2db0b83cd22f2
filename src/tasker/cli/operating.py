"""The commands for those who look after what runs: many tasks at once, the dead letter queue, figures, handlers."""

from __future__ import annotations

from tasker.cli.command import Command

OPERATING = (
    Command(
        "handler list",
        "tasker.cli.discovery:list_handlers",
        "List the handlers that templates need, with the workers that have them.",
        "tasker handler list --namespace ecommerce --missing",
    ),
    Command(
        "handler namespaces",
        "tasker.cli.discovery:list_namespaces",
        "List the namespaces, with their templates, handlers and workers.",
        "tasker handler namespaces",
    ),
    Command(
        "worker list",
        "tasker.cli.fleet:list_workers",
        "List the workers that live, with what they serve and what they are asked to do.",
        "tasker worker list",
    ),
    Command(
        "worker pause",
        "tasker.cli.fleet:pause_worker",
        "Let a worker finish what it has, and hand it nothing further.",
        "tasker worker pause 0198c0de --reason 'its disk is full'",
    ),
    Command(
        "worker drain",
        "tasker.cli.fleet:drain_worker",
        "Let a worker finish what it has, and end.",
        "tasker worker drain host-7:4711 --reason 'the machine is replaced'",
    ),
    Command(
        "worker resume",
        "tasker.cli.fleet:resume_worker",
        "Let a paused worker go on.",
        "tasker worker resume 0198c0de",
    ),
    Command(
        "queue list",
        "tasker.cli.fleet:list_queues",
        "List queues, what waits in them, and what is paused.",
        "tasker queue list --namespace ecommerce",
    ),
    Command(
        "queue pauses",
        "tasker.cli.fleet:list_pauses",
        "List who paused what, when and why.",
        "tasker queue pauses --limit 50",
    ),
    Command(
        "queue pause",
        "tasker.cli.fleet:pause_queue",
        "Hand out no further steps of a namespace, a queue or a handler.",
        "tasker queue pause ecommerce --handler charge_card --for 3600 --reason 'stock-taking'",
    ),
    Command(
        "queue resume",
        "tasker.cli.fleet:resume_queue",
        "Let paused queues go on, in the words in which they were paused.",
        "tasker queue resume ecommerce --handler charge_card",
    ),
    Command(
        "bulk run",
        "tasker.cli.bulk:run",
        "Cancel, pause, resume or retry every task that a filter lets through.",
        "tasker bulk run retry --state error --namespace ecommerce --since 2h --yes",
    ),
    Command(
        "bulk list",
        "tasker.cli.bulk:list_jobs",
        "List the jobs that act on many tasks, newest first.",
        "tasker bulk list",
    ),
    Command(
        "bulk get",
        "tasker.cli.bulk:get",
        "Show a job, and what became of each of its tasks.",
        "tasker bulk get 0198c0de-0000-7000-8000-000000000001 --refused",
    ),
    Command(
        "bulk resume",
        "tasker.cli.bulk:resume",
        "Drive a job on until it is over; workers do so by themselves.",
        "tasker bulk resume 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "bulk stop",
        "tasker.cli.bulk:stop",
        "Stop a job where it is; what it has done stays done.",
        "tasker bulk stop 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "dlq list",
        "tasker.cli.dlq:list_entries",
        "List entries of the dead letter queue, newest first.",
        "tasker dlq list --status pending --reason max_retries_exceeded",
    ),
    Command(
        "dlq queue",
        "tasker.cli.dlq:queue",
        "List pending entries, the most urgent first.",
        "tasker dlq queue --limit 10",
    ),
    Command(
        "dlq get",
        "tasker.cli.dlq:get",
        "Show an entry with its history, and the task as it was.",
        "tasker dlq get 0198c0de-0000-7000-8000-000000000001",
    ),
    Command(
        "dlq stats",
        "tasker.cli.dlq:stats",
        "Show how many entries there are for each reason, and what became of them.",
        "tasker dlq stats --json",
    ),
    Command(
        "dlq stale",
        "tasker.cli.dlq:stale",
        "List open tasks that have stood still for longest.",
        "tasker dlq stale --namespace ecommerce",
    ),
    Command(
        "dlq add",
        "tasker.cli.dlq:add",
        "Put a task into the queue by hand.",
        "tasker dlq add 0198c0de-0000-7000-8000-000000000001 --notes 'the customer calls'",
    ),
    Command(
        "dlq update",
        "tasker.cli.dlq:update",
        "Assign an entry, note what was found out, resolve it.",
        "tasker dlq update 0198c0de-0000-7000-8000-000000000001 --assign ada --notes 'gateway was down'",
    ),
    Command(
        "dlq requeue",
        "tasker.cli.dlq:requeue",
        "Try the failed steps of an entry's task again, and resolve the entry.",
        "tasker dlq requeue 0198c0de-0000-7000-8000-000000000001 --reason 'gateway is back'",
    ),
    Command(
        "analytics performance",
        "tasker.cli.analytics:performance",
        "Show how the tasks of a time fared: how many, how long, how well.",
        "tasker analytics performance --since 2h --namespace ecommerce",
    ),
    Command(
        "analytics durations",
        "tasker.cli.analytics:durations",
        "Show how long steps ran: averages and percentiles by step, handler, template or namespace.",
        "tasker analytics durations --by handler --order total",
    ),
    Command(
        "analytics tasks",
        "tasker.cli.analytics:tasks",
        "Show how long tasks took, by template.",
        "tasker analytics tasks --since 7d",
    ),
    Command(
        "analytics throughput",
        "tasker.cli.analytics:throughput",
        "Show what ended in each interval of a time.",
        "tasker analytics throughput --interval 600 --since 6h",
    ),
    Command(
        "analytics bottlenecks",
        "tasker.cli.analytics:bottlenecks",
        "Show what takes longest and fails most, and what to do about it.",
        "tasker analytics bottlenecks --since 2h",
    ),
    Command(
        "events list",
        "tasker.cli.events:list_events",
        "List domain events, newest first.",
        "tasker events list 'order.*' --namespace shop --limit 50",
    ),
    Command(
        "events get",
        "tasker.cli.events:get",
        "Show a domain event with what it says.",
        "tasker events get 0198c0de-0000-7000-8000-000000000004",
    ),
    Command(
        "events watch",
        "tasker.cli.events:watch",
        "Print domain events as they are published.",
        "tasker events watch 'order.*' --json",
    ),
    Command(
        "breaker list",
        "tasker.cli.breaker:list_breakers",
        "List breakers: which systems steps depend on, and whether steps go there.",
        "tasker breaker list",
    ),
    Command(
        "breaker show",
        "tasker.cli.breaker:show",
        "Show a breaker: what waits behind it, its limits and its history.",
        "tasker breaker show payment_gateway",
    ),
    Command(
        "breaker open",
        "tasker.cli.breaker:open_breaker",
        "Open a breaker by hand: its steps wait, and spend no try.",
        "tasker breaker open payment_gateway --for 600 --reason 'announced maintenance'",
    ),
    Command(
        "breaker reset",
        "tasker.cli.breaker:reset",
        "Close a breaker by hand, and forget the failures.",
        "tasker breaker reset payment_gateway --reason 'it is back'",
    ),
    Command(
        "breaker set",
        "tasker.cli.breaker:set_limits",
        "Set when a breaker opens and closes, for the whole fleet.",
        "tasker breaker set payment_gateway --failure-threshold 3 --reset-s 10 --probes 2",
    ),
)
