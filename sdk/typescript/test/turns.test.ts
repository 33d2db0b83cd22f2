/* What a worker says to its server, when answers are lost, late, doubled or refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpoint, stepHandler, type Handler, type StepContext } from "tasker-sdk";
import { Gateway, grant, TASK, turn, until, type Said } from "./gateway.js";

const step = (name: string, run: (context: StepContext) => unknown): Handler =>
  stepHandler(name, {}, ({ context }) => run(context) as any);
const quick = [step("a", () => ({ n: 1 })), step("b", (context) => context.dependencyResults)];
/** Answers each of these once, in order, to turns that may claim; to others nothing. */
const granting = (gateway: Gateway, ...answers: Said[]): void => {
  gateway.onTurn = (said) => turn(said["free"][0] > 0 ? (answers.shift() ?? {}) : {});
};
/** Until the handler is told to stop. */
const stopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

test("turns rise, and what a report frees inherits what its parent returned", async () => {
  const gateway = new Gateway();
  const parents = [{ grants: [grant(1)], contexts: [{ task_uuid: TASK, correlation_id: null, context: { x: 1 } }] }];
  gateway.onTurn = ({ outcomes }) =>
    turn(outcomes[0]?.number === 1 ? { grants: [grant(2)] } : (parents.shift() ?? {}));
  await gateway.run(quick, async () => {
    await until(() => gateway.outcomes.length === 2);
  });
  assert.deepEqual(gateway.outcomes.map(({ kind, result }) => [kind, result]), [
    ["succeeded", { n: 1 }],
    ["succeeded", { a: { n: 1 } }],
  ]);
  const numbers = gateway.asked("turn").map(({ turn: number }) => number);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.equal(new Set(numbers).size, numbers.length);
  const loads = gateway.asked("load").filter(({ templates }) => templates === undefined);
  assert.deepEqual(loads, [], "nothing that it has is loaded");
});

test("an outcome whose answer was lost is sent again with all that is held, and runs no second time", async () => {
  const gateway = new Gateway();
  let runs = 0;
  let losses = 0;
  gateway.onTurn = ({ turn: number, outcomes, held }) => {
    if (number === 1) return turn({ grants: [grant(1)] });
    if (outcomes.length && losses++ < 2) return losses === 1 ? null : 502;
    if (outcomes.length && held) return turn({ verdicts: [{ ...outcomes[0], verdict: "already", reason: null }] });
    return turn({});
  };
  await gateway.run([step("a", () => ++runs)], async (worker) => {
    await until(() => worker.counts.already === 1);
  });
  const resent = gateway.asked("turn").filter(({ held }) => held);
  assert.deepEqual(resent.at(-1)!["held"], [{ task_uuid: TASK, number: 1, attempt: 1 }]);
  assert.equal(runs, 1);
});

test("a grant that comes twice is run once", async () => {
  const gateway = new Gateway();
  let runs = 0;
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const answers: (Said | number)[] = [turn({ grants: [grant(1)] }), 502, turn({ grants: [grant(1)] })];
  gateway.onTurn = () => answers.shift() ?? turn({});
  await gateway.run([step("a", async () => (runs++, await gate))], async () => {
    await until(() => answers.length === 0 && gateway.asked("turn").length > 4);
    open();
    await until(() => gateway.outcomes.length === 1);
  });
  assert.equal(runs, 1);
});

test("too large a report is halved, and a single outcome that is refused fails its step", async () => {
  const gateway = new Gateway();
  gateway.steps = Array.from({ length: 4 }, () => ({ name: `s${Math.random()}`, handler: { callable: "a" } }));
  const first = [turn({ grants: [1, 2, 3, 4].map((number) => grant(number)) })];
  gateway.onTurn = ({ outcomes }) => {
    const isBad = outcomes.length > 1 || (outcomes[0]?.number === 3 && outcomes[0].kind === "succeeded");
    return isBad ? 413 : (first.shift() ?? turn({}));
  };
  const ended = (): Map<number, Said> => {
    const alone = gateway.asked("turn").filter(({ outcomes }) => outcomes.length === 1);
    return new Map(alone.map(({ outcomes: [one] }) => [one.number, one]));
  };
  await gateway.run([step("a", () => ({}))], async () => {
    await until(() => ended().size === 4 && ended().get(3)!["kind"] === "failed");
  });
  assert.deepEqual([1, 2, 4].map((number) => ended().get(number)!["kind"]), Array(3).fill("succeeded"));
  assert.equal(ended().get(3)!["error"].error_code, "invalid_result");
});

test("a deferred outcome is sent again, and stands in line for its task when that happens often", async () => {
  const gateway = new Gateway();
  granting(gateway, { grants: [grant(1)] });
  const grants = gateway.onTurn;
  gateway.onTurn = (said) => {
    if (!said["outcomes"].length || said["may_wait"]) return grants(said);
    return turn({ verdicts: [{ ...said["outcomes"][0], verdict: "deferred", reason: null }] });
  };
  await gateway.run(quick, async () => {
    await until(() => gateway.asked("turn").some(({ may_wait, outcomes }) => may_wait && outcomes.length === 1));
  });
});

test("a step that the server takes away is told to stop, and its outcome is not sent", async () => {
  const gateway = new Gateway();
  granting(gateway, { grants: [grant(1)] });
  let isTold = false;
  // Only a beat that says no start any more is answered so: what was heard is not said again.
  gateway.onBeat = ({ held, started }) => ({ session_ended: false, gone: started.length ? [] : held });
  const handler = step("a", async ({ signal }) => {
    await stopped(signal);
    isTold = true;
  });
  await gateway.run([handler], async (worker) => {
    await until(() => isTold && worker.counts.gone === 1);
    await until(() => gateway.asked("beat").at(-1)!["is_idle"]);
  });
  assert.deepEqual(gateway.outcomes, []);
});

test("a handler that ignores its timeout is left: its step is tried again, and it keeps its slot", async () => {
  const gateway = new Gateway();
  gateway.steps = [{ name: "a", handler: { callable: "a" }, timeout_seconds: 0.05 }];
  const answers = [{ grants: [grant(1)] }, { grants: [grant(1, { attempt: 2, tries: 1 })] }];
  gateway.onTurn = () => turn(answers.length === 2 || gateway.outcomes.length ? (answers.shift() ?? {}) : {});
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  await gateway.run([step("a", () => gate)], async () => {
    await until(() => gateway.outcomes.length === 2, "the timeout, and the attempt that was handed back");
    open();
  }, { concurrency: 2 });
  const [first, second] = gateway.outcomes;
  assert.deepEqual([first!["kind"], first!["error"].error_type], ["retryable", "timeout"]);
  assert.deepEqual([second!["attempt"], second!["kind"], second!["retry_after_s"]], [2, "released", 1]);
});

test("a step that was lost with its worker runs with nothing beside it, and is said to have begun before", async () => {
  const gateway = new Gateway();
  const beside: number[] = [];
  let running = 0;
  const handler = (name: string): Handler =>
    step(name, async () => {
      beside.push(++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    });
  gateway.steps = [{ name: "a", handler: { callable: "a" } }, { name: "b", handler: { callable: "b" } }];
  granting(gateway, { grants: [grant(1, { is_alone: true }), grant(2)] });
  await gateway.run([handler("a"), handler("b")], async () => {
    await until(() => gateway.outcomes.length === 2);
  });
  assert.deepEqual(beside, [1, 1]);
  assert.deepEqual(gateway.outcomes.map(({ number }) => number), [2, 1]);
  const before = gateway.calls.findLastIndex(({ what, said }) => what === "turn" && said["outcomes"][0]?.number === 1);
  const announced = gateway.calls.findIndex(
    ({ what, said }) => what === "beat" && said["started"].some(({ number }: Said) => number === 1),
  );
  assert.ok(announced >= 0 && announced < before);
});

test("a worker that stops hands back what does not end, and ends its session", async () => {
  const gateway = new Gateway();
  granting(gateway, { grants: [grant(1)] });
  let isTold = false;
  const handler = step("a", async ({ signal }) => {
    await stopped(signal);
    isTold = true;
    throw signal.reason;
  });
  await gateway.run([handler], async () => {
    await until(() => gateway.asked("beat").some(({ held }) => held.length));
  });
  assert.ok(isTold);
  assert.deepEqual(gateway.outcomes.map(({ kind }) => kind), ["released"]);
  assert.equal(gateway.calls.at(-1)!.what, "end");
});

test("a session that has ended is left for another one, under which work goes on", async () => {
  const gateway = new Gateway();
  let ends = 0;
  gateway.onTurn = ({ turn: number }) =>
    number === 1 ? turn({ session_ended: true }) : ends++ === 0 ? 404 : turn(ends === 2 ? { grants: [grant(1)] } : {});
  await gateway.run(quick, async () => {
    await until(() => gateway.outcomes.length === 1);
  });
  const sessions = gateway.asked("open").map(({ session_uuid }) => session_uuid);
  assert.equal(new Set(sessions).size, 3);
});

test("what a session before is answered late does not end the one that came after it", async () => {
  const gateway = new Gateway();
  let answerLate = (): void => {};
  let loads = 0;
  gateway.onTurn = ({ turn: number }) => turn(number === 1 ? { grants: [grant(1)] } : {});
  gateway.onLoad = () => (loads++ ? {} : new Promise<number>((resolve) => (answerLate = () => resolve(404))));
  gateway.onBeat = () => ({ session_ended: loads === 1 && gateway.asked("open").length === 1, gone: [] });
  await gateway.run(quick, async () => {
    await until(() => gateway.asked("open").length === 2);
    const turns = gateway.asked("turn").length;
    await until(() => gateway.asked("turn").length > turns);
    answerLate();
    await until(() => gateway.asked("turn").length > turns + 8);
  });
  assert.equal(gateway.asked("open").length, 2);
});

test("what a generator yields is saved before it goes on, and what it returns is the result", async () => {
  const gateway = new Gateway();
  granting(gateway, { grants: [grant(1)] }, { grants: [grant(2)] });
  const saved: unknown[] = [];
  const rows = stepHandler("a", {}, async function* ({ context }) {
    for (const row of [10, 20]) {
      yield checkpoint(row, { itemsProcessed: row, accumulated: [row] });
      saved.push([gateway.asked("checkpoints").length, context.checkpointCursor]);
    }
    return { rows: context.checkpointItemsProcessed };
  });
  gateway.steps = [gateway.steps[0]!, { name: "b", handler: { callable: "b" } }];
  const wrong = stepHandler("b", {}, async function* () {
    yield 5 as any;
    return {};
  });
  await gateway.run([rows, wrong], async () => {
    await until(() => gateway.outcomes.length === 2);
  });
  assert.deepEqual(saved, [[1, 10], [2, 20]]);
  const [first, second] = [1, 2].map((number) => gateway.outcomes.find((one) => one["number"] === number)!);
  assert.deepEqual(first!["result"], { rows: 20 });
  assert.equal(second!["kind"], "failed");
});

test("a checkpoint of an attempt that was taken away is an error of the handler", async () => {
  const gateway = new Gateway();
  gateway.onCheckpoints = ({ checkpoints }) => ({ verdicts: [{ ...checkpoints[0], verdict: "stale" }] });
  granting(gateway, { grants: [grant(1), grant(2)] });
  gateway.steps = [gateway.steps[0]!, { name: "b", handler: { callable: "b" } }];
  const save = step("a", (context) => context.saveCheckpoint(1));
  const large = step("b", (context) => context.saveCheckpoint("x".repeat(2000)));
  await gateway.run([save, large], async () => {
    await until(() => gateway.outcomes.length === 2);
  });
  const codes = new Map(gateway.outcomes.map(({ number, error }) => [number, error.error_code]));
  assert.deepEqual([codes.get(1), codes.get(2)], ["attempt_lost", "checkpoint_too_large"]);
});

test("what cannot be run here is refused with its reason: no handler, a type of a newer version, no schema check", async () => {
  const gateway = new Gateway();
  gateway.steps = [
    { name: "a", handler: { callable: "nobody" } },
    { name: "b", handler: { callable: "b" }, result_schema: { type: "object" } },
  ];
  granting(gateway, { grants: [grant(1), grant(2)] });
  await gateway.run([step("b", () => ({}))], async () => {
    await until(() => gateway.outcomes.length === 2);
  });
  const errors = gateway.outcomes.map(({ error }) => `${error.error_code} ${error.error_class}`).sort();
  assert.deepEqual(errors, ["handler_not_found PermanentError", "null ConfigurationError"]);

  const newer = new Gateway();
  newer.steps = [{ name: "a", handler: { callable: "a" }, type: "of_tomorrow" }];
  granting(newer, { grants: [grant(1)] });
  await newer.run(quick, async () => {
    await until(() => newer.outcomes.length === 1);
  });
  assert.deepEqual([newer.outcomes[0]!["kind"], newer.outcomes[0]!["retry_after_s"]], ["released", 5]);
});

test("a result is held against its schema by the check that the worker was given", async () => {
  const gateway = new Gateway();
  gateway.steps = [{ name: "a", handler: { callable: "a" }, result_schema: { required: ["total"] } }];
  granting(gateway, { grants: [grant(1)] });
  const checkSchema = (schema: any, value: any): string[] =>
    schema.required.filter((key: string) => !(key in value)).map((key: string) => `${key} is missing`);
  await gateway.run(quick, async () => void (await until(() => gateway.outcomes.length === 1)), { checkSchema });
  assert.deepEqual(gateway.outcomes[0]!["error"].metadata, { violations: ["total is missing"] });
});

test("a worker that an operator pauses asks for nothing until it is resumed; one that is drained ends", async () => {
  const gateway = new Gateway();
  let wanted: string | null = "paused";
  gateway.onBeat = () => ({ session_ended: false, gone: [], wanted });
  const asking = (): number => gateway.asked("turn").length;
  await gateway.run(quick, async () => {
    let [turns, beats] = [-1, 0];
    await until(() => {
      if (asking() !== turns) [turns, beats] = [asking(), gateway.asked("beat").length];
      return gateway.asked("beat").length >= beats + 3;
    }, "it beats, and asks for nothing");
    wanted = null;
    await until(() => asking() > turns, "it asks again");
    wanted = "drained";
    await until(() => gateway.asked("end").length === 1);
  });
});

test("no more steps run than the worker may, and what cannot be started is handed back", async () => {
  const gateway = new Gateway();
  gateway.steps = Array.from({ length: 3 }, (_, index) => ({ name: `s${index}`, handler: { callable: "a" } }));
  let most = 0;
  let running = 0;
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  granting(gateway, { grants: [grant(1), grant(2), grant(3)] });
  const handler = step("a", async () => {
    most = Math.max(most, ++running);
    await gate;
    running--;
  });
  await gateway.run([handler], async () => {
    await until(() => gateway.outcomes.length === 1);
    open();
    await until(() => gateway.outcomes.length === 3);
  }, { concurrency: 2 });
  assert.equal(most, 2);
  assert.deepEqual(gateway.outcomes.map(({ kind }) => kind).sort(), ["released", "succeeded", "succeeded"]);
});
