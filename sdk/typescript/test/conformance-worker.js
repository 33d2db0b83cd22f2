/* The handlers of the conformance suite, in TypeScript: sdk/conformance/README.md says what each does. */
import { setTimeout as pause } from "node:timers/promises";
import { batchableHandler, Batches, batchWorkerHandler, Decision, decisionHandler, jsonLogger, PermanentError, RetryableError, StepHandler, stepHandler, Worker, } from "tasker-sdk";
/** The input, and which of the steps above have results. */
class Echo extends StepHandler {
    static handlerName = "echo";
    call(context) {
        return { input: context.input, above: Object.keys(context.dependencyResults).sort() };
    }
}
/** Fails as often as it is asked to. */
const fail = stepHandler("fail", {}, ({ context }) => {
    const { kind, times, retry_after: retryAfter } = context.input;
    if (context.retryCount < times) {
        const error = kind === "permanent" ? PermanentError : RetryableError;
        throw new error("as it was asked to", { errorCode: "ASKED", retryAfter });
    }
    return { tries: context.retryCount + 1 };
});
/** The first execution takes a minute. */
const slow = stepHandler("slow", {}, async ({ context }) => {
    if (context.retryCount === 0)
        await pause(60_000, undefined, { signal: context.signal });
    return { tries: context.retryCount + 1 };
});
/** Takes so many seconds. */
const nap = stepHandler("nap", { inputs: ["seconds"] }, async ({ seconds, context }) => {
    await pause(seconds * 1000, undefined, { signal: context.signal });
});
const decide = decisionHandler("decide", { inputs: ["branches"] }, ({ branches }) => Decision.route(branches));
const cut = batchableHandler("cut", { inputs: ["rows"] }, ({ rows, context }) => Batches.split(rows, context.batchSize));
const part = batchWorkerHandler("part", {}, ({ batch }) => ({ rows: batch.end - batch.start }));
/** All rows, and how many parts there were. */
const sum = stepHandler("sum", { dependsOn: { parts: "part" } }, ({ parts }) => ({
    rows: parts.reduce((rows, one) => rows + one.rows, 0),
    parts: parts.total,
}));
/** The first execution saves a checkpoint and fails; the next says what it found. */
const resume = stepHandler("resume", {}, async ({ context }) => {
    if (!context.hasCheckpoint) {
        await context.saveCheckpoint({ row: 5 }, { itemsProcessed: 5 });
        throw new RetryableError("once more", { retryAfter: 0 });
    }
    return { cursor: context.checkpointCursor, items_processed: context.checkpointItemsProcessed };
});
const handlers = [Echo, fail, slow, nap, decide, cut, part, sum, resume];
await new Worker({ handlers, logger: jsonLogger("error") }).run();
