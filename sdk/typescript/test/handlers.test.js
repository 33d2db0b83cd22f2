/* What a handler is passed, what it may return, and how it fails. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiHandler, BatchResults, Batches, Decision, InvalidHandler, MemberResults, PermanentError, RateLimitError, Registry, RetryableError, StepContext, StepHandler, stepHandler, } from "tasker-sdk";
import { stepUuid, uuid7 } from "../dist/ids.js";
import { outcomeOfError, outcomeOfResult } from "../dist/outcomes.js";
import { readTemplate } from "../dist/template.js";
const STANDARD = { name: "a", type: "standard" };
const result = (value) => {
    const outcome = outcomeOfResult(STANDARD, value, 10_000);
    return outcome.kind === "succeeded" ? JSON.parse(outcome.text) : outcome.value.message;
};
test("objects are kept as they are, nothing is an object, anything else lies under result", () => {
    const at = new Date(0);
    assert.deepEqual(result({ at, left: undefined, none: null, big: 2n ** 70n, of: new Map([["k", new Set([1])]]) }), {
        ...{ at: "1970-01-01T00:00:00.000Z", none: null, big: String(2n ** 70n), of: { k: [1] } },
    });
    assert.deepEqual([result(undefined), result(null)], [{}, {}]);
    assert.deepEqual([result(5), result([1]), result("x")], [{ result: 5 }, { result: [1] }, { result: "x" }]);
    assert.deepEqual(Object.keys(result(JSON.parse('{"__proto__": 1}'))), ["__proto__"]);
});
test("what JSON or the database cannot keep is refused with its place", () => {
    const loop = {};
    loop["again"] = loop;
    const wrong = [
        [{ a: [NaN] }, /\$\.a\[0\] is NaN/],
        [{ a: "x\0" }, /\$\.a has a NUL/],
        [{ "\ud800": 1 }, /a key\) has a lone surrogate/],
        [{ a: () => 1 }, /\$\.a is a function/],
        [{ a: Buffer.from("x") }, /\$\.a is bytes/],
        [{ a: Promise.resolve() }, /await it/],
        [loop, /levels deep/],
        ["x".repeat(20_000), /the limit is 10000/],
    ];
    for (const [value, message] of wrong)
        assert.match(result(value), message);
});
test("a decision and batches are for steps of their type, and those say nothing else", () => {
    const kind = (type, value) => {
        const outcome = outcomeOfResult({ name: "a", type }, value, 10_000);
        return outcome.kind === "failed" ? outcome.value.error_code : outcome.kind;
    };
    assert.equal(kind("decision", Decision.route("b")), "decided");
    assert.equal(kind("decision", { decision_point_outcome: { type: "no_branches" } }), "decided");
    assert.equal(kind("decision", {}), "invalid_decision");
    assert.equal(kind("standard", Decision.skip()), "invalid_decision");
    assert.equal(kind("batchable", Batches.split(5, 2)), "batched");
    assert.equal(kind("batchable", []), "invalid_batch");
    assert.equal(kind("standard", Batches.none()), "invalid_batch");
    const cut = Batches.split(5, 2).toResult();
    assert.deepEqual(cut.batch_processing_outcome.cursor_configs.at(-1), {
        ...{ batch_id: "003", start_cursor: 4, end_cursor: 5, batch_size: 1 },
    });
});
test("the record of an error has its code, class and metadata, and says whether another try can help", () => {
    const permanent = outcomeOfError(new PermanentError("no", { errorCode: "NO", metadata: { card: "x" } }));
    assert.equal(permanent.kind, "failed");
    assert.deepEqual(permanent.value, {
        ...{ error_type: "permanent_error", error_class: "PermanentError", message: "no", error_code: "NO" },
        ...{ retryable: false, traceback: null, metadata: { card: "x" } },
    });
    const limited = outcomeOfError(new RateLimitError("slowly", { retryAfter: 7 }));
    assert.deepEqual([limited.kind, limited.retryAfterS], ["retryable", 7]);
    const unforeseen = outcomeOfError(new TypeError("x is undefined", { cause: new Error("deep") }));
    assert.equal(unforeseen.kind, "retryable");
    assert.match(unforeseen.value.traceback, /TypeError: x is undefined[\s\S]*caused by: Error: deep/);
    const odd = outcomeOfError(new RetryableError("x", { retryAfter: -1 }));
    assert.deepEqual([odd.retryAfterS, JSON.parse(odd.text).metadata], [undefined, { retry_after_ignored: "-1" }]);
    assert.equal(outcomeOfError("a text").value.message, "a text");
    const group = new AggregateError([new RetryableError("a"), new PermanentError("b")]);
    assert.deepEqual([outcomeOfError(group).kind, outcomeOfError(group).value.message], ["failed", "b"]);
    const long = outcomeOfError(new Error("\0\ud800" + "ü".repeat(9000)));
    assert.ok(Buffer.byteLength(long.value.message) <= 4096 && Buffer.byteLength(long.value.traceback) <= 8192);
});
test("a function is passed what it declares; what is missing fails the step, all of it at once", async () => {
    const handler = stepHandler("pay", { dependsOn: { cart: "check", gift: "wrap?" }, inputs: ["token", "note?"] }, (given) => [given["cart"], given["gift"], given["token"], given["note"], given.context.attempt]);
    const context = new StepContext({ input: { token: "t" }, results: { check: { total: 5 } } });
    assert.deepEqual(await handler.run(context), [{ total: 5 }, undefined, "t", undefined, 1]);
    assert.deepEqual(handler.needs, new Set(["check", "wrap"]));
    assert.throws(() => handler.run(new StepContext()), /lacks the result of step "check", input "token"/);
    assert.throws(() => stepHandler("x", { inputs: ["context"] }, () => 1), InvalidHandler);
    assert.throws(() => new StepContext({ unfetched: new Set(["z"]) }).getDependencyResult("z"), /dependsOn/);
});
test("what a handler changes in an input or a result is seen by itself only", () => {
    const fields = { input: { list: [1] }, results: { a: { list: [1] } } };
    const context = new StepContext(fields);
    context.input.list.push(2);
    context.getDependencyResult("a").list.push(2);
    assert.deepEqual(context.dependencyResults, { a: { list: [1, 2] } });
    assert.deepEqual(new StepContext(fields).input, { list: [1] });
    assert.equal(context.getDependencyField("a", "list", 1), 2);
    assert.equal(context.getDependencyField("a", "length", "x"), null);
    assert.deepEqual([context.getInputOr("none", 3), context.getInput("toString")], [3, undefined]);
});
test("the results of a batch come as a list, and by the names of its members", () => {
    const members = [
        { batch_id: "001", result: { rows: 2 }, error: null },
        { batch_id: "002", result: null, error: { message: "no" } },
    ];
    const parts = new MemberResults({ total: 2, succeeded: 1, failed: 1, items: 5 }, members);
    const context = new StepContext({ results: { part: parts } });
    const found = context.getDependencyResult("part");
    assert.deepEqual([[...found], found.total, found.failed, found.items], [[{ rows: 2 }, null], 2, 1, 5]);
    assert.deepEqual([found.byId, found.errors], [{ "001": { rows: 2 } }, { "002": { message: "no" } }]);
    assert.deepEqual(found.map((one) => one?.rows), [2, undefined]);
    assert.deepEqual(context.getDependencyResult("part_001"), { rows: 2 });
    assert.deepEqual(context.getAllDependencyResults("part"), [{ rows: 2 }]);
});
test("handlers are found in lists, modules and classes, each name once", () => {
    class Ship extends StepHandler {
        static handlerName = "ship";
        static methods = ["sign"];
        call = undefined;
        sign(context) {
            return { by: context.stepName };
        }
    }
    Object.defineProperty(Ship.prototype, "call", { value: () => ({ shipped: true }) });
    class Ours extends ApiHandler {
    }
    const a = stepHandler("a", {}, () => 1);
    const registry = new Registry([a], { Ship, Ours, a, other: 5 });
    assert.deepEqual(registry.list().map(({ name }) => name), ["a", "ship", "ship#sign"]);
    assert.deepEqual(registry.resolve("ship#sign").run(new StepContext({ stepName: "s" })), { by: "s" });
    assert.throws(() => new Registry(a, stepHandler("a", {}, () => 2)), /two handlers with the name "a"/);
    assert.throws(() => new Registry({ x: 1 }), /no handler/);
    assert.throws(() => stepHandler("", {}, () => 1), InvalidHandler);
});
test("ids are those of the engine: tasks' rise, steps' are derived", () => {
    const task = "0198c0de-0000-7000-8000-0000000000aa";
    assert.equal(stepUuid(task, 3), "0198c0de-0000-8000-afd2-32574464e47d");
    assert.equal(stepUuid(task, 65_537), "0198c0de-0000-8000-8c4c-aeaa22e4613e");
    const made = Array.from({ length: 10_000 }, uuid7);
    assert.deepEqual(made, [...new Set(made)].sort());
    assert.match(made[0], /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
test("a template says what comes before a step, which handler it wants, and how large its parts are", () => {
    const template = readTemplate({
        ...{ namespace_name: "n", name: "t", version: "1" },
        steps: [
            { name: "cut.it", handler: { callable: "cut" }, type: "batchable" },
            { name: "part", handler: { callable: "P", method: "do" }, type: "batch_worker", dependencies: ["cut.it"] },
            { name: "end", handler: { callable: "end" }, dependencies: ["part"], for_each: "cut.it.list" },
        ],
    });
    const [cut, part, end] = template.steps;
    assert.deepEqual([cut.batchSize, part.handlerKey, part.isBatch], [1000, "P#do", true]);
    assert.deepEqual([end.ancestors, end.itemsFrom], [["cut.it", "part"], "cut.it"]);
});
