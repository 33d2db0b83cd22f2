import { BATCH_KEY, Batches } from "./batch.js";
import { Decision, DECISION_KEY } from "./decision.js";
import { cleanText, ERROR_CODE_BYTES_MAX, errorRecord } from "./failures.js";
import { isObject, plainJson, type Json, type JsonObject } from "./json.js";
import { ResultTooLarge, StepError, StepValidationError } from "./step-errors.js";

/** How an attempt ended, ready to be reported. `text` is the JSON of `value`: a result, or the record of an error. */
export interface Outcome {
  readonly kind: "succeeded" | "decided" | "batched" | "expanded" | "failed" | "retryable" | "released";
  readonly value?: Json;
  readonly text?: string;
  readonly retryAfterS?: number | undefined;
}

/** What a step is, as far as its outcome has to fit it. */
export interface Judged {
  readonly name: string;
  readonly type: string;
}

const RETRY_AFTER_S_MAX = 366 * 86_400;

/** True for a result, that of a decision or of a batchable step included. */
export function isSuccess(outcome: Outcome | null): outcome is Outcome {
  return outcome !== null && ["succeeded", "decided", "batched"].includes(outcome.kind);
}

/** No handler ran: the step is a batch, and asks for its members. */
export const EXPANDED: Outcome = { kind: "expanded" };

/** It was not started, or handed back: another worker may take it, and no try is spent. */
export function released(delayS?: number): Outcome {
  return { kind: "released", retryAfterS: delayS };
}

/** What to report when a handler threw: failed for errors that say so, retryable for all others. */
export function outcomeOfError(error: unknown): Outcome {
  const { record, deciding } = errorRecord(error);
  const isStepError = deciding instanceof StepError;
  const kind = isStepError && !deciding.retryable ? "failed" : "retryable";
  const outcome = { kind, value: record, text: JSON.stringify(record) } as const;
  if (kind === "failed" || !isStepError || deciding.retryAfter === undefined) return outcome;
  return { ...outcome, ...waitAskedFor(deciding.retryAfter, record) };
}

function waitAskedFor(wish: unknown, record: JsonObject): Pick<Outcome, "retryAfterS" | "text"> {
  const metadata = record["metadata"] as JsonObject;
  if (typeof wish !== "number" || !(wish >= 0) || wish === Infinity) {
    metadata["retry_after_ignored"] = cleanText(String(wish), ERROR_CODE_BYTES_MAX);
    return { text: JSON.stringify(record) };
  }
  if (wish <= RETRY_AFTER_S_MAX) return { retryAfterS: wish };
  metadata["retry_after_shortened_from"] = wish;
  return { retryAfterS: RETRY_AFTER_S_MAX, text: JSON.stringify(record) };
}

/**
 * What to report when the handler of a step returned `value`: a success, or a failure where that cannot be kept, or is
 * not what a step of its type says.
 */
export function outcomeOfResult(step: Judged, value: unknown, bytesMax: number): Outcome {
  try {
    return classified(step, value, bytesMax);
  } catch (error) {
    return outcomeOfError(error);
  }
}

function classified(step: Judged, value: unknown, bytesMax: number): Outcome {
  const result = kept(value instanceof Decision || value instanceof Batches ? value.toResult() : value);
  const text = JSON.stringify(result);
  const bytes = Buffer.byteLength(text);
  if (bytes > bytesMax) {
    throw new ResultTooLarge(
      `the step's result has ${bytes} bytes as JSON, the limit is ${bytesMax}: ` +
        "keep the data elsewhere (a table, a file, an object store) and return a reference to it",
    );
  }
  if (value instanceof Decision && step.type !== "decision") {
    throw refused(`step "${step.name}" returned a Decision: give it \`type: decision\` in the template`, "decision");
  }
  if (value instanceof Batches && step.type !== "batchable") {
    throw refused(`step "${step.name}" returned Batches: give it \`type: batchable\` in the template`, "batch");
  }
  if (step.type === "decision") {
    if (DECISION_KEY in result) return { kind: "decided", value: result, text };
    const advice = "return Decision.route([…]) or Decision.skip()";
    throw refused(`decision "${step.name}" returned no Decision: ${advice}`, "decision");
  }
  if (step.type === "batchable") {
    if (BATCH_KEY in result) return { kind: "batched", value: result, text };
    const advice = "return Batches.split(total, size), Batches.ranges([…]) or Batches.none()";
    throw refused(`batchable step "${step.name}" returned no Batches: ${advice}`, "batch");
  }
  return { kind: "succeeded", value: result, text };
}

/** Objects as they are, nothing as `{}`, anything else as `{"result": value}`. */
function kept(value: unknown): JsonObject {
  if (value === undefined || value === null) return {};
  let plain: Json;
  try {
    plain = plainJson(value);
  } catch (error) {
    if (error instanceof StepError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new StepValidationError(`the step's result cannot be kept as JSON: ${why}`, { errorCode: "invalid_result" });
  }
  return isObject(plain) ? (plain as JsonObject) : { result: plain };
}

function refused(message: string, what: "decision" | "batch"): StepValidationError {
  return new StepValidationError(message, { errorCode: `invalid_${what}` });
}
