/* The client against a real server, on which trial/gate is published and nobody works. Ends with 1 where it is wrong. */
import assert from "node:assert/strict";
import { Client, IdentityConflict, InvalidInput, NotFound, TemplateNotFound, WaitTimeout } from "tasker-sdk";

const client = new Client();
const gate = { name: "gate", namespace: "trial", context: { file: "x" } };

const task = await client.submit({ ...gate, idempotencyKey: "k", tags: ["a"], startAt: new Date(0), priority: 1 });
assert.deepEqual([task.is_duplicate, task.context, task.tags], [false, gate.context, ["a"]]);
assert.equal((await client.submit({ ...gate, idempotencyKey: "k", tags: ["a"], startAt: new Date(0), priority: 1 })).is_duplicate, true);
const conflict = await client.submit({ ...gate, idempotencyKey: "k", context: {} }).catch((error: unknown) => error);
assert.ok(conflict instanceof IdentityConflict && conflict.taskUuid === task.task_uuid, String(conflict));
await assert.rejects(client.submit({ name: "nothing" }), TemplateNotFound);
await assert.rejects(client.get("0198c0de-0000-7000-8000-0000000000aa"), NotFound);
await assert.rejects(client.get("nonsense"), InvalidInput);
await assert.rejects(client.wait(task.task_uuid, 0.2), WaitTimeout);

const why = await client.why(task.task_uuid);
assert.ok(why.steps[0]!.conditions.some(({ kind }) => kind === "no_worker"), JSON.stringify(why));
assert.equal((await client.pause(task.task_uuid, { actor: "ada", reason: "lunch" })).is_paused, true);
assert.equal((await client.resume(task.task_uuid)).is_paused, false);
await client.completeStep(task.task_uuid, "a", { n: 1 }, { actor: "ada", reason: "by hand" });
assert.equal((await client.wait(task.task_uuid, 60)).status, "complete");
assert.deepEqual(await client.data(task.task_uuid), {
  ...{ inputs: gate.context, outputs: { a: { n: 1 } }, merged: { ...gate.context, a: { n: 1 } } },
});
assert.deepEqual((await client.steps(task.task_uuid)).map(({ name, results }) => [name, results]), [["a", { n: 1 }]]);

const other = await client.submit(gate);
const seen: string[] = [];
for await (const update of client.watch(other.task_uuid)) {
  if (update.update_type === "ready") await client.cancel(other.task_uuid, { reason: "not wanted" });
  if (update.is_last) seen.push(update.task_state!);
}
assert.deepEqual(seen, ["cancelled"]);

const found: string[] = [];
for await (const one of client.each({ namespace: "trial", status: ["complete", "cancelled"] })) found.push(one.task_uuid);
assert.deepEqual(found, [other.task_uuid, task.task_uuid]);
assert.equal((await client.list({ status: "complete", perPage: 1 })).tasks.length, 1);
assert.deepEqual((await client.call("GET", "/v1/templates", { query: { name: "gate" } })).templates.length, 1);
