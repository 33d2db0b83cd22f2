// The press: lays labels out and prints them. Its tray is a file, one line for each label.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { checkpoint, stepHandler, Worker } from "tasker-sdk";

const WIDTH = 24;
const tray = process.env.PRESS_TRAY ?? "tray.txt";

/** What lies in the tray under a key; undefined where nothing does. */
function printed(key: string): string | undefined {
  if (!existsSync(tray)) return undefined;
  const lines = readFileSync(tray, "utf-8").split("\n");
  return lines.find((line) => line.startsWith(`${key}\t`));
}

type Order = { addresses: string[][] };

const layOut = stepHandler<{ order: Order }>("lay_out", { dependsOn: { order: "read_order" } }, ({ order }) => ({
  labels: order.addresses.map((lines) => lines.map((line) => line.slice(0, WIDTH).toUpperCase()).join(" / ")),
}));

type Job = { layout: { labels: string[] }; seconds_per_label: number };

// A generator that yields checkpoints: whichever worker runs this step after a crash goes on with the next label. The
// crash may come between a label and its checkpoint, so each label has a key, by which it is found in the tray.
const printLabels = stepHandler<Job>(
  "print_labels",
  { dependsOn: { layout: "lay_out" }, inputs: ["seconds_per_label"] },
  async function* ({ layout, seconds_per_label, context }) {
    const { labels } = layout;
    for (let next: number = context.checkpointCursor ?? 0; next < labels.length; next++) {
      const key = `${context.idempotencyKey}/${next}`;
      if (printed(key) === undefined) {
        await pause(seconds_per_label * 1000, undefined, { signal: context.signal });
        appendFileSync(tray, `${key}\t${labels[next]}\n`);
      }
      yield checkpoint(next + 1, { itemsProcessed: next + 1 });
    }
    return { labels: labels.length };
  },
);

await new Worker({ handlers: [layOut, printLabels] }).run();
