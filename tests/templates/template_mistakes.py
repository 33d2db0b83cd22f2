"""Mistakes in templates, each with the one problem that it is: `file:line:column path: message`."""

# ruff: noqa: E501 - a message stands in one line, as users read it

from __future__ import annotations

from template_texts import HEAD, step, with_steps

MISTAKES = {
    "unknown step key": (
        step("dependancies: []"),
        'f:6:25 steps[0].dependancies: "dependancies" is not a key of a step; did you mean "dependencies"?',
    ),
    "unknown top key": (
        step("", top="descripton: x\n"),
        'f:5:1 descripton: "descripton" is not a key of a template; did you mean "description"?',
    ),
    "unknown key like nothing": (
        step("zzz: 1"),
        'f:6:25 steps[0].zzz: "zzz" is not a key of a step: its keys are name, description, handler, type, dependencies, retry, timeout_seconds, queue, system_dependency, result_schema, for_each, batch_config, publishes_events',
    ),
    "another system's word": (
        step("timeout: 5"),
        'f:6:25 steps[0].timeout: "timeout" is not a key of a step; write "timeout_seconds"',
    ),
    "older word in strict": (
        step("depends_on_step: b"),
        'f:6:25 steps[0].depends_on_step: "depends_on_step" is not a key of a step; write "dependencies"',
    ),
    "unknown retry key": (
        step("retry: {max_attempt: 3}"),
        'f:6:33 steps[0].retry.max_attempt: "max_attempt" is not a key of a retry policy; did you mean "max_attempts"?',
    ),
    "retry limit in strict": (
        step("retry: {limit: 3}"),
        'f:6:33 steps[0].retry.limit: "limit" is not a key of a retry policy; write "max_attempts"',
    ),
    "later key": (
        step("composition: {}"),
        'f:6:25 steps[0].composition: "composition" is not supported by this version of Tasker: remove it',
    ),
    "name of an event": (
        step("publishes_events: [{name: Order.Paid}]"),
        'f:6:51 steps[0].publishes_events[0].name: "Order.Paid" is not allowed here: it must be small letters, digits and '
        "underscores with dots between them, such as order.paid",
    ),
    "condition of an event": (
        step("publishes_events: [{name: a.b, condition: failed}]"),
        'f:6:67 steps[0].publishes_events[0].condition: "failed" is not one of success, failure, retryable_failure, '
        'permanent_failure, always; did you mean "failure"?',
    ),
    "later top key": (
        step("", top="domain_events: []\n"),
        'f:5:1 domain_events: "domain_events" is not supported by this version of Tasker: remove it',
    ),
    "private method of a handler": (
        with_steps("- {name: a, handler: {callable: h, method: __class__}}\n"),
        'f:6:44 steps[0].handler.method: "__class__" is not allowed here: it must be the name of a public method',
    ),
    "unknown type": (
        step("type: standart"),
        'f:6:31 steps[0].type: "standart" is not one of standard, decision, deferred_convergence, '
        'batchable, batch_worker; did you mean "standard"?',
    ),
    "a decision with nothing to choose": (
        with_steps("- {name: a, type: decision, handler: h}\n"),
        "f:6:10 steps[0].name: a decision chooses among the steps that depend on it, and none does",
    ),
    "a convergence of nothing": (
        with_steps("- {name: a, type: deferred_convergence, handler: h}\n"),
        "f:6:10 steps[0].name: a deferred_convergence waits for its dependencies, and has none",
    ),
    "no name": (
        with_steps("- {handler: h}\n"),
        'f:6:3 steps[0]: a step needs the key "name": text of 1 to 128 characters',
    ),
    "null name": (
        with_steps("- {name: , handler: h}\n"),
        "f:6:9 steps[0].name: expected text, and nothing stands here",
    ),
    "no handler": (
        with_steps("- {name: a}\n"),
        'f:6:3 steps[0]: a step needs the key "handler": text, or a handler with its keys',
    ),
    "no callable": (
        with_steps("- {name: a, handler: {initialization: {}}}\n"),
        'f:6:22 steps[0].handler: a handler needs the key "callable": text of 1 to 500 characters',
    ),
    "handler is a list": (
        with_steps("- {name: a, handler: [h]}\n"),
        "f:6:22 steps[0].handler: expected text, or a handler with its keys, not a list",
    ),
    "step is text": (
        with_steps("- a\n"),
        'f:6:3 steps[0]: expected a step with its keys, not the text "a"',
    ),
    "no steps": (
        HEAD,
        'f:1:1: a template needs the key "steps": a list of steps',
    ),
    "empty steps": (
        HEAD + "steps: []\n",
        "f:5:8 steps: the list is empty: it needs at least 1 item",
    ),
    "steps as a mapping": (
        HEAD + "steps: {a: h}\n",
        "f:5:8 steps: expected a list of steps, not a mapping",
    ),
    "number as a version": (
        HEAD.replace("1.0.0", "1.0") + "steps: [{name: a, handler: h}]\n",
        'f:4:10 version: expected text, and 1.0 is read as a number: write "1.0"',
    ),
    "number as a name": (
        with_steps("- {name: 12, handler: h}\n"),
        'f:6:10 steps[0].name: expected text, and 12 is read as a number: write "12"',
    ),
    "truth value as a name": (
        with_steps("- {name: true, handler: h}\n"),
        'f:6:10 steps[0].name: expected text, and true is read as a truth value: write "true"',
    ),
    "namespace with a dash": (
        step("", head=HEAD.replace("shop", "my-shop")),
        'f:2:17 namespace_name: "my-shop" is not allowed here: it must be letters, digits and underscores, not starting with a digit',
    ),
    "namespace too long": (
        step("", head=HEAD.replace("shop", "s" * 30)),
        'f:2:17 namespace_name: "ssssssssssssssssssssssssssssss" has 30 characters: 1 to 29 are allowed',
    ),
    "empty name": (
        with_steps("- {name: '', handler: h}\n"),
        'f:6:10 steps[0].name: "" has 0 characters: 1 to 128 are allowed',
    ),
    "name with a line break": (
        with_steps('- {name: "a\\nb", handler: h}\n'),
        'f:6:10 steps[0].name: "a\\nb" is not allowed here: it must be one line of printable characters without spaces around it',
    ),
    "name with space around": (
        with_steps("- {name: ' a', handler: h}\n"),
        'f:6:10 steps[0].name: " a" is not allowed here: it must be one line of printable characters without spaces around it',
    ),
    "wrong grammar version": (
        step("", head=HEAD.replace("tasker: 1", "tasker: 2")),
        "f:1:9 tasker: expected 1, the grammar that this version of Tasker reads, not the number 2",
    ),
    "grammar version as text": (
        step("", head=HEAD.replace("tasker: 1", "tasker: '1'")),
        'f:1:9 tasker: expected 1, the grammar that this version of Tasker reads, not the text "1"',
    ),
    "grammar version as truth": (
        step("", head=HEAD.replace("tasker: 1", "tasker: true")),
        "f:1:9 tasker: expected 1, the grammar that this version of Tasker reads, not the truth value true",
    ),
    "unknown dependency": (
        with_steps("- {name: charge, handler: h}\n- {name: ship, handler: h, dependencies: [chrge]}\n"),
        'f:7:43 steps[1].dependencies[0]: "chrge" is not a step of this template; did you mean "charge"?',
    ),
    "unknown dependency like none": (
        with_steps("- {name: charge, handler: h}\n- {name: ship, handler: h, dependencies: [zzz]}\n"),
        'f:7:43 steps[1].dependencies[0]: "zzz" is not a step of this template',
    ),
    "dependency on itself": (
        step("dependencies: [a]"),
        "f:6:40 steps[0].dependencies[0]: a step cannot depend on itself: remove it",
    ),
    "dependency twice": (
        with_steps("- {name: a, handler: h}\n- {name: b, handler: h, dependencies: [a, a]}\n"),
        'f:7:43 steps[1].dependencies[1]: "a" stands in this list already: remove it',
    ),
    "dependencies as text": (
        with_steps("- {name: a, handler: h}\n- {name: b, handler: h, dependencies: a}\n"),
        'f:7:39 steps[1].dependencies: expected a list of step names, not the text "a": write [a]',
    ),
    "dependencies null": (
        step("dependencies: "),
        "f:6:38 steps[0].dependencies: expected a list of step names, not nothing",
    ),
    "dependencies and depends_on": (
        step("dependencies: [], depends_on: []"),
        'f:6:43 steps[0].depends_on: "dependencies" is said twice, under two names: remove one of them',
    ),
    "cycle": (
        with_steps(
            "- {name: a, handler: h, dependencies: [c]}\n- {name: b, handler: h, dependencies: [a]}\n- {name: c, handler: h, dependencies: [b]}\n"
        ),
        "f:6:39 steps[0].dependencies: steps wait for each other in a circle: a -> b -> c -> a; remove one of these dependencies",
    ),
    "two steps of one name": (
        with_steps("- {name: a, handler: h}\n- {name: a, handler: h}\n"),
        'f:7:10 steps[1].name: a step named "a" stands in line 6 already: give one another name',
    ),
    "step named ALL": (
        with_steps("- {name: ALL, handler: h}\n"),
        'f:6:10 steps[0].name: "ALL" means every step in `environments`: give this step another name',
    ),
    "zero attempts": (
        step("retry: {max_attempts: 0}"),
        "f:6:47 steps[0].retry.max_attempts: expected a whole number from 1 to 100, not the number 0",
    ),
    "too many attempts": (
        step("retry: {max_attempts: 101}"),
        "f:6:47 steps[0].retry.max_attempts: expected a whole number from 1 to 100, not the number 101",
    ),
    "fractional attempts": (
        step("retry: {max_attempts: 1.5}"),
        "f:6:47 steps[0].retry.max_attempts: expected a whole number from 1 to 100, not the number 1.5",
    ),
    "attempts as text": (
        step("retry: {max_attempts: '3'}"),
        'f:6:47 steps[0].retry.max_attempts: expected a whole number from 1 to 100, not the text "3"',
    ),
    "attempts as truth": (
        step("retry: {max_attempts: true}"),
        "f:6:47 steps[0].retry.max_attempts: expected a whole number from 1 to 100, not the truth value true",
    ),
    "unknown backoff": (
        step("retry: {backoff: exponental}"),
        'f:6:42 steps[0].retry.backoff: "exponental" is not one of none, linear, exponential, fibonacci; did you mean "exponential"?',
    ),
    "jitter above one": (
        step("retry: {jitter: 2}"),
        "f:6:41 steps[0].retry.jitter: expected a number of at least 0 and at most 1, not the number 2",
    ),
    "retryable as a word": (
        step("retry: {retryable: yes}"),
        'f:6:44 steps[0].retry.retryable: expected true or false, not the text "yes"',
    ),
    "zero timeout": (
        step("timeout_seconds: 0"),
        "f:6:42 steps[0].timeout_seconds: expected a number above 0 and at most 31536000, not the number 0",
    ),
    "timeout with a unit": (
        step("timeout_seconds: 30s"),
        'f:6:42 steps[0].timeout_seconds: expected a number above 0 and at most 31536000, not the text "30s"',
    ),
    "queue with a dash": (
        step("queue: my-queue"),
        'f:6:32 steps[0].queue: "my-queue" is not allowed here: it must be letters, digits and underscores, not starting with a digit',
    ),
    "initialization as a list": (
        with_steps("- {name: a, handler: {callable: h, initialization: [1]}}\n"),
        "f:6:52 steps[0].handler.initialization: expected a mapping, not a list",
    ),
    "identity strategy": (
        step("", top="identity_strategy: srict\n"),
        'f:5:20 identity_strategy: "srict" is not one of always_unique, strict, caller_provided; did you mean "strict"?',
    ),
    "input schema as text": (
        step("", top="input_schema: text\n"),
        'f:5:15 input_schema: expected a JSON Schema, not the text "text"',
    ),
    "input schema not valid": (
        step("", top="input_schema:\n  properties:\n    a: {type: strin}\n"),
        'f:7:15 input_schema.properties.a.type: "strin" is not a type of JSON Schema: they are array, boolean, integer, null, number, object, string; did you mean "string"?',
    ),
    "input schema bad pattern": (
        step("", top="input_schema: {pattern: '('}\n"),
        "f:5:25 input_schema.pattern: not valid in a JSON Schema: '(' is not a 'regex'",
    ),
    "input schema dialect": (
        step("", top="input_schema: {$schema: 'http://example.com/s'}\n"),
        'f:5:25 input_schema.$schema: "http://example.com/s" is not a JSON Schema dialect that Tasker knows',
    ),
    "input schema ref nowhere": (
        step("", top="input_schema: {properties: {a: {$ref: '#/$defs/b'}}}\n"),
        'f:5:39 input_schema.properties.a.$ref: "#/$defs/b" leads nowhere in this schema',
    ),
    "input schema remote ref": (
        step("", top="input_schema: {properties: {a: {$ref: 'http://example.com/b.json'}}}\n"),
        'f:5:39 input_schema.properties.a.$ref: "http://example.com/b.json" lies outside this schema, and nothing is fetched: copy it in',
    ),
    "input schema endless": (
        step("", top="input_schema: {$ref: '#'}\n"),
        "f:5:15 input_schema: the schema refers to itself without end",
    ),
    "result schema": (
        step("result_schema: {required: a}"),
        "f:6:51 steps[0].result_schema.required: not valid in a JSON Schema: 'a' is not of type 'array'",
    ),
    "override unknown step": (
        step("", top="environments: {test: {steps: [{name: b}]}}\n"),
        'f:5:38 environments.test.steps[0].name: "b" is not a step of this template',
    ),
    "override twice": (
        step("", top="environments: {test: {steps: [{name: a}, {name: a}]}}\n"),
        'f:5:49 environments.test.steps[1].name: "a" is overridden above already: put both into one',
    ),
    "override other key": (
        step("", top="environments: {test: {steps: [{name: a, queue: q}]}}\n"),
        'f:5:41 environments.test.steps[0].queue: "queue" is not supported in an override of a step by this version of Tasker: its keys are name, handler, timeout_seconds, retry',
    ),
    "override handler callable": (
        step("", top="environments: {test: {steps: [{name: a, handler: {callable: q}}]}}\n"),
        'f:5:51 environments.test.steps[0].handler.callable: "callable" is not supported in a change of the handler by this version of Tasker: its keys are initialization',
    ),
    "override template key": (
        step("", top="environments: {test: {input_schema: {}}}\n"),
        'f:5:23 environments.test.input_schema: "input_schema" is not supported in an environment by this version of Tasker: its keys are steps',
    ),
    "override without a name": (
        step("", top="environments: {test: {steps: [{timeout_seconds: 1}]}}\n"),
        'f:5:31 environments.test.steps[0]: an override of a step needs the key "name": text of 1 to 128 characters',
    ),
    "environment null": (
        step("", top="environments: {test: }\n"),
        "f:5:21 environments.test: expected an environment with its keys, not nothing",
    ),
    "override timeout": (
        step("", top="environments: {'a b': {steps: [{name: a, timeout_seconds: -1}]}}\n"),
        'f:5:59 environments["a b"].steps[0].timeout_seconds: expected a number above 0 and at most 31536000, not the number -1',
    ),
    "key twice": (
        with_steps("- name: a\n  handler: h\n  name: b\n"),
        'f:8:3 steps[0].name: the key "name" stands here a second time; the first is in line 6, column 3: remove one of them',
    ),
    "key is a list": (
        step("[a]: 1"),
        "f:6:25 steps[0].?: a key must be text",
    ),
    "tag": (
        step("description: !!str x"),
        'f:6:38 steps[0].description: the tag "tag:yaml.org,2002:str" is not allowed: write the value without a tag',
    ),
    "unknown anchor": (
        step("dependencies: *d"),
        'f:6:39 steps[0].dependencies: the anchor "d" is not defined above this place',
    ),
    "merge of a list": (
        step("<<: [1]"),
        'f:6:30 steps[0]: "<<" takes a mapping or a list of mappings',
    ),
    "not a number": (
        with_steps("- {name: a, handler: {callable: h, initialization: {x: .nan}}}\n"),
        'f:6:56 steps[0].handler.initialization.x: ".nan" is not a number that JSON can carry',
    ),
    "infinite": (
        with_steps("- {name: a, handler: {callable: h, initialization: {x: 1e999}}}\n"),
        'f:6:56 steps[0].handler.initialization.x: "1e999" is not a number that JSON can carry',
    ),
    "number past 64 bits": (
        with_steps("- {name: a, handler: {callable: h, initialization: {x: 99999999999999999999}}}\n"),
        "f:6:56 steps[0].handler.initialization.x: the number 99999999999999999999 does not fit into 64 bits: write it in quotes",
    ),
    "NUL": (
        step('description: "\\0"'),
        "f:6:38 steps[0].description: text may hold neither NUL nor half a surrogate pair: PostgreSQL cannot store it",
    ),
    "half a surrogate": (
        step('description: "\\ud800"'),
        "f:6:38 steps[0].description: text may hold neither NUL nor half a surrogate pair: PostgreSQL cannot store it",
    ),
    "unclosed": (
        HEAD + "steps: [\n",
        "f:6:1: not valid YAML: expected the node content, but found '<stream end>'; while parsing a flow node",
    ),
    "tab": (
        HEAD + "steps:\n\t- a\n",
        "f:6:1: not valid YAML: found character '\\t' that cannot start any token; while scanning for the next token: indent with spaces, not with tabs",
    ),
    "two documents": (
        step("") + "---\na: 1\n",
        "f:7:1: a file holds one template, and a second document begins here: put it into a file of its own",
    ),
    "empty": (
        "",
        "f:1:1: there is nothing in it: a template starts with `tasker: 1` and its name",
    ),
    "comment": (
        "# nothing\n",
        "f:1:1: there is nothing in it: a template starts with `tasker: 1` and its name",
    ),
    "list": (
        "- a\n",
        'f:1:1: a template is a mapping with keys such as "name" and "steps", not a list or a value',
    ),
    "text": (
        "hello\n",
        'f:1:1: a template is a mapping with keys such as "name" and "steps", not a list or a value',
    ),
}
