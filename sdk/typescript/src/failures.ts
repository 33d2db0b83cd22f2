import { plainJson, type Json, type JsonObject } from "./json.js";
import { StepError } from "./step-errors.js";

const MESSAGE_BYTES_MAX = 4096;
const TRACEBACK_BYTES_MAX = 8192;
const METADATA_BYTES_MAX = 8192;
const CAUSES_MAX = 10;
/** The longest code, type or class of an error. */
export const ERROR_CODE_BYTES_MAX = 255;

/**
 * The record that is kept of an error, with the keys error_type, error_class, message, error_code, retryable, traceback
 * and metadata (and is_dependency_failure where that is true), and the error that decides.
 *
 * Whatever was thrown, the record is valid JSON and bounded. Of an AggregateError a permanent error decides if there is
 * one, else the one that asks for the longest wait.
 */
export function errorRecord(thrown: unknown): { record: JsonObject; deciding: unknown } {
  const deciding = decidingError(thrown);
  const error = deciding instanceof Error ? deciding : null;
  const step = deciding instanceof StepError ? deciding : null;
  const record: JsonObject = {
    error_type: cleanText(step?.errorType ?? "handler_error", ERROR_CODE_BYTES_MAX),
    error_class: cleanText(error?.constructor.name || error?.name || typeof deciding, ERROR_CODE_BYTES_MAX),
    message: cleanText(shown(deciding), MESSAGE_BYTES_MAX),
    error_code: cleanText(codeOf(deciding), ERROR_CODE_BYTES_MAX) || null,
    retryable: step?.retryable ?? true,
    traceback: step !== null && step.cause === undefined && thrown === deciding ? null : stackOf(thrown),
    metadata: boundedMetadata(step?.metadata ?? {}),
  };
  if (step?.isDependencyFailure) record["is_dependency_failure"] = true;
  return { record, deciding };
}

/** The text without NUL and lone surrogates, its middle cut out where it is longer than the limit in UTF-8. */
export function cleanText(text: string, bytesMax: number): string {
  const clean = text.replaceAll("\0", "\\x00").replace(/\p{Surrogate}/gu, "\uFFFD");
  const data = Buffer.from(clean);
  if (data.length <= bytesMax) return clean;
  const note = Buffer.from(`\n… ${data.length - bytesMax} bytes left out …\n`);
  const room = Math.max(0, bytesMax - note.length);
  const head = Math.floor(room / 4);
  const parts = [data.subarray(0, head), note, data.subarray(data.length - (room - head))];
  return parts.map((part) => part.toString().replaceAll("\uFFFD", "")).join("");
}

function decidingError(thrown: unknown): unknown {
  if (!(thrown instanceof AggregateError)) return thrown;
  const raised = leaves(thrown).filter((one): one is StepError => one instanceof StepError);
  const wait = (one: StepError): number => (Number.isFinite(one.retryAfter) ? one.retryAfter! : 0);
  return raised.find((one) => !one.retryable) ?? raised.sort((a, b) => wait(b) - wait(a))[0] ?? thrown;
}

function leaves(group: AggregateError): unknown[] {
  return group.errors.flatMap((one: unknown) => (one instanceof AggregateError ? leaves(one) : [one]));
}

/** The code of a StepError; of other errors that have one (`ECONNREFUSED`), that. */
function codeOf(error: unknown): string {
  if (error instanceof StepError) return error.errorCode ?? "";
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

function shown(value: unknown): string {
  try {
    return (value instanceof Error ? value.message || value.name : String(value)) || typeof value;
  } catch {
    return `a ${typeof value} whose text cannot be had`;
  }
}

/** The stack with those of its causes; without properties, which may hold secrets. */
function stackOf(thrown: unknown): string | null {
  const stacks: string[] = [];
  let next: unknown = thrown;
  while (next instanceof Error && stacks.length < CAUSES_MAX) {
    stacks.push(next.stack ?? `${next.name}: ${next.message}`);
    if (next instanceof AggregateError) stacks.push(...next.errors.slice(0, CAUSES_MAX).map(shown));
    next = next.cause;
  }
  return stacks.length ? cleanText(stacks.join("\ncaused by: "), TRACEBACK_BYTES_MAX) : null;
}

function boundedMetadata(metadata: Record<string, unknown>): JsonObject {
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(metadata)) {
    kept[cleanText(key, ERROR_CODE_BYTES_MAX)] = bounded(value);
  }
  const bytes = Buffer.byteLength(JSON.stringify(kept));
  return bytes <= METADATA_BYTES_MAX
    ? kept
    : { left_out: `${bytes} bytes of metadata, the limit is ${METADATA_BYTES_MAX}` };
}

function bounded(value: unknown): Json {
  try {
    return plainJson(value);
  } catch {
    return cleanText(shown(value), MESSAGE_BYTES_MAX);
  }
}
