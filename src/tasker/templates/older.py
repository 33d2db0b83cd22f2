"""The older spelling of templates, translated into today's grammar.

The translation works on the tree, before anything is checked, and keeps every place: a problem is told under the key
that the file has. What the older spelling could say and this grammar cannot is a warning.
"""

from __future__ import annotations

from tasker.templates.document import (
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    Spot,
    is_empty,
    is_nothing,
    kind_of,
    shown,
)
from tasker.templates.report import Report

_NAMESPACE_DEFAULT = "default"
_VERSION_DEFAULT = "0.1.0"
_TRUTH_WORDS = frozenset({"yes", "no", "on", "off", "y", "n"})
_STEP_KEYS = frozenset(
    {
        "handler_class",
        "handler_config",
        "depends_on_step",
        "depends_on_steps",
        "default_retryable",
        "default_retry_limit",
        "dependent_system",
        "skippable",
        "custom_events",
    }
)
_RETRY_KEYS = {"default_retryable": "retryable", "default_retry_limit": "max_attempts"}


def is_older(root: MapNode) -> bool:
    """True for a document in the older spelling."""
    return "tasker" not in root.entries and "step_templates" in root.entries


def translate(root: MapNode, report: Report) -> MapNode:
    """The same document in today's words."""
    return _Translation(root, report).template()


class _Translation:
    def __init__(self, root: MapNode, report: Report) -> None:
        self._root = root
        self._report = report
        self._retries: dict[str, dict[str, Entry]] = {}
        """By step, so that an environment which changes one half of a policy keeps the other."""

    def template(self) -> MapNode:
        root = self._root
        spot = Spot("", "", root.place)
        if "steps" in root.entries:
            self._report.error(_key_spot(spot, "steps", root), '"steps" and "step_templates" both stand here: keep one')
        self._warn_of_truth_words(root)
        self._warn_of_the_unsayable(root, spot)
        listed = root.get("step_templates")
        self._check_named_steps(listed, spot)
        entries = {key: entry for key, entry in root.entries.items() if key not in _TEMPLATE_KEYS}
        entries["steps"] = self._steps(root.entries["step_templates"], spot)
        self._put(entries, "input_schema", _moved(root, "schema"), spot)
        for key, default in (("namespace_name", _NAMESPACE_DEFAULT), ("version", _VERSION_DEFAULT)):
            if is_nothing(root.get(key)):
                entries[key] = _made(ScalarNode(default, default, False, root.place))
        if "environments" in root.entries:
            entries["environments"] = self._environments(root.entries["environments"])
        self._keep_class_names(entries)
        return MapNode(entries, root.place)

    def _warn_of_the_unsayable(self, root: MapNode, spot: Spot) -> None:
        concurrent = root.get("concurrent")
        if concurrent is not None and not _says(concurrent, True):
            message = "has no effect: steps that do not depend on each other run at the same time; add dependencies"
            self._report.warn(_key_spot(spot, "concurrent", root), message)
        self._warn_unless_empty(root, spot, "custom_events", "has no effect: say in publishes_events what a step tells")
        self._warn_unless_empty(root, spot, "handler_config", "has no effect here: give it to the steps that read it")
        if "schema" in root.entries and is_nothing(root.get("enforce_schemas")):
            message = "is kept but not enforced: write `enforce_schemas: true` to hold inputs against it"
            self._report.warn(_key_spot(spot, "schema", root), message)

    def _warn_unless_empty(self, node: MapNode, spot: Spot, key: str, message: str) -> None:
        entry = node.entries.get(key)
        if entry and not is_empty(entry.node):
            self._report.warn(_key_spot(spot, key, node), message)

    def _check_named_steps(self, listed: Node | None, spot: Spot) -> None:
        named = self._root.get("named_steps")
        if named is None or is_nothing(named) or not isinstance(listed, ListNode):
            return
        if not isinstance(named, ListNode):
            message = f"expected a list of step names, not {kind_of(named)}"
            self._report.error(spot.key("named_steps", self._root.entries["named_steps"]), message)
            return
        known = {_text_of(item) for item in named.items}
        spot = spot.key("step_templates", self._root.entries["step_templates"])
        for index, step in enumerate(listed.items):
            name = step.get("name") if isinstance(step, MapNode) else None
            if isinstance(name, ScalarNode) and name.value is not None and _text_of(name) not in known:
                place = Spot("", f"{spot.item(index, step).written}.name", name.place)
                self._report.error(place, f"{shown(name.text)} is not in named_steps: add it there, or remove that key")

    def _steps(self, entry: Entry, spot: Spot) -> Entry:
        node = entry.node
        if isinstance(node, ListNode):
            spot = Spot("", "step_templates", node.place)
            steps = tuple(self._step(step, spot.item(index, step)) for index, step in enumerate(node.items))
            node = ListNode(steps, node.place)
        return Entry(entry.key, node, "step_templates")

    def _step(self, node: Node, spot: Spot) -> Node:
        if not isinstance(node, MapNode):
            return node
        entries = {key: entry for key, entry in node.entries.items() if key not in _STEP_KEYS}
        self._put(entries, "handler", self._handler(node, spot), spot)
        self._put(entries, "dependencies", _dependencies(node), spot)
        retry = _retry(node)
        self._put(entries, "retry", _made(MapNode(retry, node.place)) if retry else None, spot)
        self._put(entries, "system_dependency", self._system(node), spot)
        _time_out(node, entries)
        skippable = node.get("skippable")
        if skippable is not None and not _says(skippable, False):
            message = "has no effect: a step that failed is resolved by hand, so that its successors run"
            self._report.warn(_key_spot(spot, "skippable", node), message)
        self._warn_unless_empty(node, spot, "custom_events", "has no effect: say in publishes_events what a step tells")
        self._retries[_text_of(node.get("name"))] = retry
        return MapNode(entries, node.place)

    def _put(self, entries: dict[str, Entry], key: str, entry: Entry | None, spot: Spot) -> None:
        if entry is None:
            return
        if key in entries:
            place = Spot("", spot.key(key, entries[key]).written, entries[key].key)
            self._report.error(place, f"{shown(key)} is said twice, here and in the older spelling: remove one of them")
        else:
            entries[key] = entry

    def _handler(self, node: MapNode, spot: Spot) -> Entry | None:
        entries: dict[str, Entry] = {}
        handler_class = _moved(node, "handler_class")
        if handler_class:
            entries["callable"] = handler_class
        elif "handler" not in node.entries:
            self._report.error(spot, 'a step needs the key "handler_class"')
            entries["callable"] = _made(ScalarNode("?", "?", False, node.place))
        config = _moved(node, "handler_config")
        if config:
            entries["initialization"] = config
        return _made(MapNode(entries, node.place)) if entries else None

    def _system(self, node: MapNode) -> Entry | None:
        own = _moved(node, "dependent_system")
        return own if own or "system_dependency" in node.entries else _moved(self._root, "default_dependent_system")

    def _environments(self, entry: Entry) -> Entry:
        if not isinstance(entry.node, MapNode):
            return entry
        spot = Spot("", "environments", entry.key)
        translated = {
            name: self._environment(inner, spot.key(name, inner)) for name, inner in entry.node.entries.items()
        }
        return Entry(entry.key, MapNode(translated, entry.node.place))

    def _environment(self, entry: Entry, spot: Spot) -> Entry:
        if not isinstance(entry.node, MapNode):
            return entry
        entries = dict(entry.node.entries)
        overrides = entries.pop("step_templates", None)
        if overrides:
            node = overrides.node
            if isinstance(node, ListNode):
                node = ListNode(tuple(self._override(item) for item in node.items), node.place)
            self._put(entries, "steps", Entry(overrides.key, node, "step_templates"), spot)
        return Entry(entry.key, MapNode(entries, entry.node.place))

    def _override(self, node: Node) -> Node:
        if not isinstance(node, MapNode):
            return node
        entries = dict(node.entries)
        config = entries.pop("handler_config", None) if "handler" not in entries else None
        if config and not is_nothing(config.node):
            moved = Entry(config.key, config.node, "handler_config")
            entries["handler"] = _made(MapNode({"initialization": moved}, node.place))
        retry = _retry(node)
        if retry and "retry" not in entries:
            entries = {key: entry for key, entry in entries.items() if key not in _RETRY_KEYS}
            base = self._retries.get(_text_of(node.get("name")), {})
            entries["retry"] = _made(MapNode({**base, **retry}, node.place))
        _time_out(node, entries)
        return MapNode(entries, node.place)

    def _keep_class_names(self, entries: dict[str, Entry]) -> None:
        """The names of classes say where the steps came from: they stay in the metadata, for people."""
        kept = {
            key: self._root.entries[key]
            for key in ("task_handler_class", "module_namespace")
            if not is_nothing(self._root.get(key))
        }
        metadata = self._root.get("metadata")
        if kept and (metadata is None or isinstance(metadata, MapNode) or is_nothing(metadata)):
            known = metadata.entries if isinstance(metadata, MapNode) else {}
            entries["metadata"] = Entry(self._root.place, MapNode({**kept, **known}, self._root.place))

    def _warn_of_truth_words(self, node: Node) -> None:
        """Readers of the older spelling took `yes` for true."""
        seen: set[int] = set()
        waiting: list[Node] = [node]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, MapNode):
                waiting += [entry.node for entry in node.entries.values()]
            elif isinstance(node, ListNode):
                waiting += node.items
            elif node.is_plain and node.text.lower() in _TRUTH_WORDS:
                message = f"{shown(node.text)} is read as text: write true or false, or put it in quotes"
                self._report.warn(node.place, message)


_TEMPLATE_KEYS = frozenset(
    {
        "step_templates",
        "schema",
        "environments",
        "task_handler_class",
        "module_namespace",
        "default_dependent_system",
        "named_steps",
        "concurrent",
        "custom_events",
        "handler_config",
    }
)


def _made(node: Node) -> Entry:
    """An entry that the file does not have: it adds nothing to a path."""
    return Entry(node.place, node, "")


def _moved(source: MapNode, key: str) -> Entry | None:
    """What stands under a key, to be put under another name; None where nothing does."""
    entry = source.entries.get(key)
    return Entry(entry.key, entry.node, key) if entry and not is_nothing(entry.node) else None


def _says(node: Node, value: bool) -> bool:
    return isinstance(node, ScalarNode) and node.value in (value, None) and not isinstance(node.value, str)


def _retry(node: MapNode) -> dict[str, Entry]:
    moved = {name: _moved(node, older) for older, name in _RETRY_KEYS.items()}
    return {name: entry for name, entry in moved.items() if entry}


def _dependencies(node: MapNode) -> Entry | None:
    """One list of both kinds, each name once."""
    single, several = node.get("depends_on_step"), node.get("depends_on_steps")
    if is_nothing(single) and is_nothing(several):
        return None
    if several is not None and not is_nothing(several) and not isinstance(several, ListNode):
        return Entry(several.place, several, "depends_on_steps")
    items = list(several.items) if isinstance(several, ListNode) else []
    if single is not None and not is_nothing(single):
        items.insert(0, single)
    unique = {_text_of(item) or str(id(item)): item for item in items}
    written = "depends_on_step" if is_nothing(several) else "depends_on_steps"
    return Entry(node.place, ListNode(tuple(unique.values()), node.place), written)


def _time_out(node: MapNode, entries: dict[str, Entry]) -> None:
    """A timeout in the handler's configuration is the step's own as well, unless it has one."""
    config = node.get("handler_config")
    if isinstance(config, MapNode) and "timeout_seconds" in config.entries and "timeout_seconds" not in entries:
        entry = config.entries["timeout_seconds"]
        entries["timeout_seconds"] = Entry(entry.key, entry.node, "handler_config.timeout_seconds")


def _text_of(node: Node | None) -> str:
    return node.text if isinstance(node, ScalarNode) else ""


def _key_spot(spot: Spot, key: str, node: MapNode) -> Spot:
    return Spot("", spot.key(key, node.entries[key]).written, node.entries[key].key)
