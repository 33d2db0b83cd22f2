/** What a server says about an error beside its message. */
export interface ErrorAbout {
  /** The word of the API for it, such as `task_not_found`. */
  kind?: string | undefined;
  /** The HTTP status. */
  status?: number | undefined;
  retryAfterS?: number | undefined;
  violations?: readonly string[];
  taskUuid?: string | null;
  cause?: unknown;
}

/** Anything that goes wrong between a program and a server; its `kind` is the API's word for it. */
export class TaskerError extends Error {
  readonly kind: string;
  readonly status: number | undefined;
  /** After so many seconds the same may work; undefined where the server has not said. */
  readonly retryAfterS: number | undefined;
  /** What is wrong with an input, a line each. */
  readonly violations: readonly string[];
  /** Of an IdentityConflict: the task that holds the key. */
  readonly taskUuid: string | null;

  constructor(message: string, about: ErrorAbout = {}) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause });
    this.name = new.target.name;
    this.kind = about.kind ?? "tasker_error";
    this.status = about.status;
    this.retryAfterS = about.retryAfterS;
    this.violations = about.violations ?? [];
    this.taskUuid = about.taskUuid ?? null;
  }
}

/** Nobody answers at the server's address, or not in time. */
export class ServerUnavailable extends TaskerError {}
/** The server failed, or what answers is none of Tasker's. */
export class ServerFault extends TaskerError {}
/** What was asked for does not exist, or is out of the caller's reach. */
export class NotFound extends TaskerError {}
/** There is no such task. */
export class TaskNotFound extends NotFound {}
/** There is no such step. */
export class StepNotFound extends NotFound {}
/** There is no such template. */
export class TemplateNotFound extends NotFound {}
/** The request, or a task's input, is not valid; `violations` has all that is wrong. */
export class InvalidInput extends TaskerError {}
/** The request, or something in it, is too large. */
export class PayloadTooLarge extends TaskerError {}
/** The key belongs to a task with other content; `taskUuid` names it. */
export class IdentityConflict extends TaskerError {}
/** The step or task is in no state for this. */
export class ActionForbidden extends TaskerError {}
/** The key or token was not accepted. */
export class Unauthenticated extends TaskerError {}
/** The caller may not do this. */
export class Forbidden extends TaskerError {}
/** The server has no room at the moment. */
export class Backpressure extends TaskerError {}
/** The caller, or the namespace, has used up what it may create for now. */
export class QuotaExceeded extends Backpressure {}
/** The task has not ended in the time that was given; it goes on. */
export class WaitTimeout extends TaskerError {}
/** A newer turn has begun: this one came late, and has done nothing. */
export class TurnSuperseded extends TaskerError {}
/** A handler, or its declaration, cannot be. */
export class InvalidHandler extends TaskerError {}
/** A worker or client is set up wrongly. */
export class SettingsError extends TaskerError {}

type ErrorClass = new (message: string, about?: ErrorAbout) => TaskerError;

const BY_KIND: Readonly<Record<string, ErrorClass>> = {
  server_unavailable: ServerUnavailable,
  database_unavailable: ServerUnavailable,
  not_started: ServerUnavailable,
  schema_outdated: ServerUnavailable,
  keys_unavailable: ServerUnavailable,
  request_timeout: ServerUnavailable,
  server_fault: ServerFault,
  not_found: NotFound,
  task_not_found: TaskNotFound,
  step_not_found: StepNotFound,
  template_not_found: TemplateNotFound,
  invalid_input: InvalidInput,
  malformed_request: InvalidInput,
  invalid_template: InvalidInput,
  payload_too_large: PayloadTooLarge,
  request_too_large: PayloadTooLarge,
  identity_conflict: IdentityConflict,
  key_in_flight: Backpressure,
  action_forbidden: ActionForbidden,
  unauthenticated: Unauthenticated,
  forbidden: Forbidden,
  backpressure: Backpressure,
  quota_exceeded: QuotaExceeded,
  turn_superseded: TurnSuperseded,
};

const BY_STATUS: Readonly<Record<number, ErrorClass>> = {
  400: InvalidInput,
  401: Unauthenticated,
  403: Forbidden,
  404: NotFound,
  408: ServerUnavailable,
  409: IdentityConflict,
  413: PayloadTooLarge,
  422: InvalidInput,
  429: QuotaExceeded,
  502: ServerUnavailable,
  503: ServerUnavailable,
  504: ServerUnavailable,
};

/** The error that an answer tells: by its `kind`, else, of servers that say none, by its status. */
export function errorOfAnswer(status: number, body: string, retryAfter: string | null, url: string): TaskerError {
  const told = errorBody(body);
  const after = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  if (told !== null) return errorTold(told, status, after);
  const kind = status >= 500 ? ServerUnavailable : status === 404 ? ServerFault : (BY_STATUS[status] ?? ServerFault);
  const message = `${url} answered ${status}, and not in the words of Tasker's API: is this its address?`;
  return new kind(message, { status, retryAfterS: after });
}

/** The error that the body of an answer, or of an event in a stream, tells. */
export function errorTold(told: Record<string, any>, status = 500, retryAfterS?: number): TaskerError {
  const kind = BY_KIND[String(told["kind"])] ?? BY_STATUS[status] ?? ServerFault;
  const id = told["error_id"] ? ` (error_id ${told["error_id"]})` : "";
  return new kind(`${told["message"] ?? `the server answered ${status}`}${id}`, {
    kind: typeof told["kind"] === "string" ? told["kind"] : undefined,
    status,
    retryAfterS: retryAfterS ?? told["retry_after_seconds"],
    violations: Array.isArray(told["violations"]) ? told["violations"].map(String) : [],
    taskUuid: typeof told["task_uuid"] === "string" ? told["task_uuid"] : null,
  });
}

function errorBody(body: string): Record<string, any> | null {
  try {
    const told: unknown = JSON.parse(body)?.error;
    return typeof told === "object" && told !== null ? told : null;
  } catch {
    return null; // a proxy's page, or none
  }
}
