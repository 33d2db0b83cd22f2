import { setTimeout as pause } from "node:timers/promises";
import type { CheckpointState } from "./context.js";
import type { Held } from "./held.js";
import { troubleOf, type Line } from "./line.js";
import { words, type Logger } from "./log.js";
import type { SessionOpened, Verdict } from "./protocol.js";
import { RetryableError, StepValidationError } from "./step-errors.js";

const BUSY_PAUSE_MS = 5;
const TROUBLE_PAUSE_MS = 200;
const TROUBLE_PAUSE_MS_MAX = 2000;

/**
 * Saves a checkpoint; returns when it is recorded. While the server is away it goes on trying, until the step is told to
 * stop: saving twice changes nothing.
 *
 * @throws StepValidationError where it is too large or cannot be kept, RetryableError where the attempt was taken away.
 */
export async function saveCheckpoint(
  line: Line,
  session: SessionOpened,
  held: Held,
  state: CheckpointState,
  log: Logger,
): Promise<void> {
  const bytes = Buffer.byteLength(JSON.stringify(state));
  if (bytes > session.checkpoint_bytes_max) {
    throw new StepValidationError(
      `the checkpoint has ${bytes} bytes as JSON, the limit is ${session.checkpoint_bytes_max}: ` +
        "keep what is accumulated elsewhere",
      { errorCode: "checkpoint_too_large" },
    );
  }
  const body = JSON.stringify({ checkpoints: [{ ...held.fence, ...state }] });
  let pauseMs = TROUBLE_PAUSE_MS;
  while (!held.controller.signal.aborted) {
    const verdict = await trySave(line, session.session_uuid, body, log);
    if (verdict === "recorded" || verdict === "already") return;
    if (verdict === "stale") throw taken(held);
    await pause(verdict === "deferred" ? BUSY_PAUSE_MS : pauseMs);
    if (verdict === "away") pauseMs = Math.min(pauseMs * 2, TROUBLE_PAUSE_MS_MAX);
  }
  throw taken(held);
}

async function trySave(line: Line, session: string, body: string, log: Logger): Promise<Verdict["verdict"] | "away"> {
  try {
    const { verdicts } = await line.call(session, "checkpoints", body);
    return verdicts[0].verdict;
  } catch (error) {
    const trouble = troubleOf(error);
    if (trouble === "unknown") return "stale";
    if (trouble !== "away") {
      throw new StepValidationError(`the server refused the checkpoint of this step: ${words(error)}`, {
        errorCode: "invalid_checkpoint",
      });
    }
    log.warn("a checkpoint could not be saved; trying again", { error: words(error) });
    return "away";
  }
}

function taken(held: Held): RetryableError {
  const message = `step "${held.name}" was taken away from this worker: its checkpoint is not kept`;
  return new RetryableError(message, { errorCode: "attempt_lost" });
}
