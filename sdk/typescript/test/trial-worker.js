/* A worker for trials against a real server: its handlers write down in TRIAL_LEDGER what they do. */
import { appendFileSync, existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { stepHandler, Worker } from "tasker-sdk";
const ledger = process.env["TRIAL_LEDGER"];
const note = (what) => appendFileSync(ledger, `${what}\n`);
/** Computes, and lets nothing else run meanwhile. */
const compute = stepHandler("compute", { inputs: ["seconds"] }, ({ seconds }) => {
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end)
        ;
    return {};
});
/** Waits until the file that the input names exists, or until it is told to stop. */
const gate = stepHandler("gate", { inputs: ["file"] }, async ({ file, context }) => {
    note(`begins ${context.attempt}`);
    while (!existsSync(file)) {
        if (context.cancelled) {
            note("told");
            throw context.signal.reason;
        }
        await pause(10);
    }
    note("done");
    return { attempt: context.attempt };
});
const handlers = [compute, gate];
await new Worker({ handlers, concurrency: 4 }).run();
