/* The thread that beats: see heartbeat.ts. It knows what it was told last, whatever the main thread is at. */
import { setTimeout as pause } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { Beating, FromThread, ToThread } from "./heartbeat.js";
import { Line, troubleOf } from "./line.js";
import { words } from "./log.js";
import { fenceOf, keyOf, type BeatHeard } from "./protocol.js";
import type { Server } from "./server.js";

const FAILED_PAUSE_MS = 200;
const CALL_S_MIN = 1;

const server = workerData as Server;
let session: string | null = null;
let beatS = 1;
let leaseS = 1;
let held: readonly Beating[] = [];
let staleOutcomes = 0;
let staleSaid = 0;
let isIdle = true;
/** What was said to have started, as it was said. */
let announced = new Map<string, number>();
let resume: (() => void) | null = null;

parentPort!.on("message", (said: ToThread) => {
  if (said.kind === "pulse") {
    ({ held, staleOutcomes, isIdle } = said);
    return;
  }
  ({ session, beatS, leaseS } = said);
  announced = new Map();
  resume?.();
});

function tell(said: FromThread): void {
  parentPort!.postMessage(said);
}

async function beat(whose: string): Promise<void> {
  const saying = held;
  const staleSaying = staleOutcomes;
  const nowMs = Number(process.hrtime.bigint()) / 1e6;
  const started = saying.filter((one) => announced.get(keyOf(one)) !== one.aliveMs);
  const body = JSON.stringify({
    is_idle: isIdle,
    stale_outcomes: Math.max(0, staleSaying - staleSaid),
    started: started.map((one) => ({ ...fenceOf(one), ago_s: Math.max(0, nowMs - one.aliveMs) / 1000 })),
    held: saying.map(fenceOf),
  });
  const timeoutS = Math.max(leaseS / 2, CALL_S_MIN); // after that there is time for one more
  const answer: BeatHeard = await new Line({ ...server, timeoutS }).call(whose, "beat", body);
  if (whose !== session) return;
  if (!answer.session_ended) staleSaid = staleSaying; // a session that has ended took no note of it
  announced = new Map(saying.map((one) => [keyOf(one), one.aliveMs]));
  tell({ kind: "heard", session: whose, answer });
}

async function beatOn(): Promise<never> {
  for (;;) {
    const whose = session;
    let pauseMs = beatS * 1000;
    if (whose !== null) {
      try {
        await beat(whose);
      } catch (error) {
        if (troubleOf(error) === "unknown") tell({ kind: "unknown", session: whose });
        else tell({ kind: "failed", error: words(error) });
        pauseMs = Math.min(pauseMs, FAILED_PAUSE_MS);
      }
    }
    const isNew = new Promise<void>((resolve) => (resume = resolve));
    if (session === whose) await Promise.race([pause(pauseMs), isNew]);
  }
}

void beatOn();
