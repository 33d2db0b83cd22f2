/* The client: what is sent again, how errors come out, pages and streams. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, IdentityConflict, InvalidInput, ServerFault, ServerUnavailable, SettingsError } from "tasker-sdk";
import { findServer } from "../dist/server.js";
import { eventsOf } from "../dist/stream.js";
import { bodyOf, serving, TASK } from "./gateway.js";
const using = (handle, use) => serving(handle, (url) => use(new Client({ url, apiKey: "k", attemptsMax: 4 })));
const refuse = (response, status, error, headers = {}) => {
    response.writeHead(status, headers).end(JSON.stringify({ error: { code: "X", message: "no", ...error } }));
};
test("what passes by itself is sent again, under the same id, and is no duplicate", async () => {
    const bodies = [];
    const task = await using(async (request, response) => {
        bodies.push(JSON.parse(await bodyOf(request)));
        assert.equal(request.headers["x-api-key"], "k");
        if (bodies.length === 1)
            request.socket.destroy();
        else if (bodies.length === 2)
            refuse(response, 503, { kind: "backpressure" }, { "retry-after": "0" });
        else
            response.end(JSON.stringify({ task_uuid: bodies[0].task_uuid, is_duplicate: true }));
    }, (client) => client.submit({ name: "t", namespace: "n", context: { a: 1 }, idempotencyKey: "k1", tags: ["x"] }));
    assert.deepEqual([bodies.length, bodies[0], task.is_duplicate], [3, bodies[2], false]);
    assert.deepEqual([bodies[0].idempotency_key, bodies[0].context, bodies[0].tags], ["k1", { a: 1 }, ["x"]]);
});
test("what the server refuses is thrown as what it is, at once", async () => {
    let asked = 0;
    const failing = async (status, error) => using((_, response) => (asked++, refuse(response, status, error)), (client) => client.get("x")).catch((e) => e);
    const conflict = await failing(409, { kind: "identity_conflict", task_uuid: TASK });
    assert.ok(conflict instanceof IdentityConflict && conflict.taskUuid === TASK);
    const invalid = await failing(400, { kind: "invalid_input", violations: ["a: is required"] });
    assert.ok(invalid instanceof InvalidInput && invalid.violations[0] === "a: is required");
    assert.ok((await failing(404, { kind: "of_tomorrow" })).kind === "of_tomorrow");
    assert.match((await failing(500, { kind: "server_fault", error_id: "e1" })).message, /e1/);
    assert.equal(asked, 4);
    const page = await using((_, response) => response.writeHead(404).end("<html>"), (client) => client.get("x")).catch((e) => e);
    assert.ok(page instanceof ServerFault);
    const nobody = new Client({ url: "http://127.0.0.1:1", attemptsMax: 2 });
    await assert.rejects(nobody.get("x"), ServerUnavailable);
});
test("a list goes through all pages", async () => {
    const queries = [];
    const names = await using((request, response) => {
        queries.push(request.url);
        const isLast = request.url.includes("cursor=c1");
        const tasks = [{ name: isLast ? "b" : "a" }];
        response.end(JSON.stringify({ tasks, pagination: { next_cursor: isLast ? null : "c1" } }));
    }, async (client) => {
        const found = [];
        for await (const task of client.each({ status: ["error", "complete"], createdAfter: new Date(0) }))
            found.push(task.name);
        return found;
    });
    assert.deepEqual(names, ["a", "b"]);
    assert.match(queries[0], /status=error&status=complete&created_after=1970-01-01T00%3A00%3A00.000Z&per_page=100$/);
});
test("a step is named or identified in an act, which carries its own id", async () => {
    const seen = [];
    await using(async (request, response) => {
        if (request.method === "GET")
            return void response.end(JSON.stringify([{ name: "pay", step_uuid: "s1" }]));
        seen.push([request.url, JSON.parse(await bodyOf(request))]);
        return void response.end("{}");
    }, async (client) => {
        await client.retryStep("t1", "pay", { actor: "ada", reason: "again" });
        await assert.rejects(client.resolveStep("t1", "other", { actor: "ada" }), /it has: pay/);
    });
    const [[url, body]] = seen;
    assert.equal(url, "/v1/tasks/t1/workflow_steps/s1");
    assert.deepEqual([body.action_type, body.reset_by, body.reason], ["reset_for_retry", "ada", "again"]);
    assert.match(body.act_id, /^[0-9a-f-]{36}$/);
});
test("a stream that is cut goes on behind the last update, and begins only once", async () => {
    let opened = 0;
    const update = (update_type, cursor, is_last = false) => `event: ${update_type}\nid: ${cursor}\ndata: ${JSON.stringify({ update_type, cursor, is_last })}\n\n`;
    const cursors = await using((request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        if (++opened === 1) {
            response.write(`${update("ready", "1")}: ping\n\n${update("step_state", "2")}`, () => request.socket.destroy());
        }
        else {
            assert.ok(request.url.endsWith("cursor=2"), request.url);
            response.end(update("ready", "2") + update("task_state", "3", true));
        }
    }, async (client) => {
        const found = [];
        for await (const { cursor } of client.watch("t1"))
            found.push(cursor);
        return found;
    });
    assert.deepEqual(cursors, ["1", "2", "3"]);
});
test("events are read whatever the pieces in which they come", async () => {
    const text = "event: a\r\ndata: 1\r\ndata: ü\r\n\r\n: ping\n\ndata:x\n\nretry: 5\n\ndata: half";
    const bytes = Buffer.from(text);
    for (const size of [1, 2, 3, 1000]) {
        const pieces = async function* () {
            for (let start = 0; start < bytes.length; start += size)
                yield bytes.subarray(start, start + size);
        };
        const found = [];
        for await (const { event, data } of eventsOf(pieces()))
            found.push([event, data]);
        assert.deepEqual(found, [["a", "1\nü"], ["message", "x"]]);
    }
});
test("the server and the key are those of the arguments, else of the environment", () => {
    const environment = { TASKER_URL: "http://e/t/", TASKER_API_KEY: "e" };
    assert.deepEqual(findServer({}, environment), { url: "http://e/t", headers: { "x-api-key": "e" }, timeoutS: 30 });
    assert.deepEqual(findServer({ token: "t" }, environment).headers, { authorization: "Bearer t" });
    for (const options of [{}, { url: "ftp://x" }, { url: "http://a:b@x" }, { url: "http://x", apiKey: "a", token: "b" }]) {
        assert.throws(() => findServer(options, {}), SettingsError);
    }
});
