import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Step, type Task, type TaskData, type TaskPage, type TaskWhy, type Update } from "./answers.js";
import { Backpressure, ServerUnavailable, SettingsError, TaskerError, WaitTimeout } from "./errors.js";
import { uuid7 } from "./ids.js";
import { ask, findServer, type Request, type Server, type ServerOptions } from "./server.js";
import { follow } from "./stream.js";

/** How a client calls its server. */
export interface ClientOptions extends ServerOptions {
  /** How often a request that failed in passing is sent; 10. */
  attemptsMax?: number;
  /** For how long at most; 45. */
  retryS?: number;
}

/** A task to be created. */
export interface NewTask {
  name: string;
  namespace?: string;
  /** The newest where it is not given. */
  version?: string;
  /** The task's input, a JSON object. */
  context?: object;
  /** The same key, the same task; with other content it is an IdentityConflict. */
  idempotencyKey?: string;
  keyTtlS?: number;
  /** -2 to 2 are five classes. */
  priority?: number;
  startAt?: Date | string;
  delayS?: number;
  initiator?: string;
  sourceSystem?: string;
  reason?: string;
  tags?: readonly string[];
  correlationId?: string;
  parentCorrelationId?: string;
  /** A UUID of version 7 made now; made here where it is not given. */
  taskUuid?: string;
}

/** Which tasks. */
export interface TaskFilter {
  status?: string | readonly string[];
  namespace?: string;
  name?: string;
  version?: string;
  tag?: string | readonly string[];
  correlationId?: string;
  initiator?: string;
  sourceSystem?: string;
  createdAfter?: Date | string;
  createdBefore?: Date | string;
}

/** Who does something to a task or step, and why; kept in the history. */
export interface ActOptions {
  actor?: string;
  reason?: string;
  /** Only if it is in this state. */
  seenState?: string;
  /** Of a step: only if this is its last attempt. */
  seenAttempt?: number;
  /** The same id again does nothing again. Made here where it is not given. */
  actId?: string;
}

const TERMINAL: ReadonlySet<string> = new Set(["complete", "error", "cancelled", "resolved_manually"]);
const ASK_S = 20;
const PAUSE_MS = 200;
const WAIT_FIRST_MS = 100;
const WAIT_MS_MAX = 5000;
const RETRY_AFTER_S_MAX = 60;
const PAGE = 100;

/**
 * A client of a server.
 *
 * What passes by itself (a broken connection, a busy server, a restart) is tried again, within bounds; nothing happens
 * twice by that, because a task is created under an id that was made here, and every act carries an id. What the server
 * refuses is thrown: TaskNotFound, InvalidInput, IdentityConflict, Forbidden, …; ServerUnavailable where nobody answers.
 */
export class Client {
  readonly server: Server;
  readonly #attemptsMax: number;
  readonly #retryMs: number;

  constructor(options: ClientOptions = {}) {
    this.server = findServer(options);
    this.#attemptsMax = options.attemptsMax ?? 10;
    this.#retryMs = (options.retryS ?? 45) * 1000;
    if (!(this.#attemptsMax >= 1)) throw new SettingsError("attemptsMax is at least 1");
  }

  // Tasks -----------------------------------------------------------------------------------------------------------

  /** Creates a task; it is durable when this returns. */
  async submit(task: NewTask): Promise<Task> {
    const taskUuid = task.taskUuid ?? uuid7();
    const made: Task = await this.#post("/v1/tasks", {
      ...apiFields({ ...task, taskUuid, correlationId: task.correlationId ?? randomUUID() }),
      context: task.context ?? {},
    });
    // A request that was sent again finds the task of the first one there: it is no duplicate.
    const isOwn = task.taskUuid === undefined && made.task_uuid === taskUuid;
    return isOwn ? { ...made, is_duplicate: false } : made;
  }

  /** A task with its figures and what each step waits for; with `waitS` once it has ended, or after so long. */
  async get(taskUuid: string, waitS = 0): Promise<Task> {
    const wait = waitS > 0 ? `${Math.round(waitS * 1000)}ms` : undefined;
    return this.#ask({ method: "GET", path: taskPath(taskUuid), query: { wait }, waitS });
  }

  /** A page of tasks, newest first. */
  async list(filter: TaskFilter & { page?: number; perPage?: number; cursor?: string } = {}): Promise<TaskPage> {
    return this.#ask({ method: "GET", path: "/v1/tasks", query: apiFields(filter) });
  }

  /** All tasks that fit, newest first, page by page; those that are created meanwhile do not disturb it. */
  async *each(filter: TaskFilter = {}): AsyncGenerator<Task, void, void> {
    let cursor: string | null = null;
    do {
      const page: TaskPage = await this.list({ ...filter, perPage: PAGE, ...(cursor === null ? {} : { cursor }) });
      yield* page.tasks;
      cursor = page.pagination.next_cursor;
    } while (cursor !== null);
  }

  /** The task when it has ended, well or not. Throws WaitTimeout after `timeoutS` seconds; the task goes on. */
  async wait(taskUuid: string, timeoutS = Infinity): Promise<Task> {
    const untilMs = performance.now() + timeoutS * 1000;
    for (;;) {
      const beganMs = performance.now();
      const askS = Math.max(0, Math.min(ASK_S, (untilMs - beganMs) / 1000));
      const task = await this.get(taskUuid, askS);
      if (TERMINAL.has(task.status)) return task;
      const nowMs = performance.now();
      if (nowMs >= untilMs) throw new WaitTimeout(`task ${taskUuid} is ${task.status} after ${timeoutS} s, and goes on`);
      // The server holds requests for less than it is asked to.
      if (nowMs - beganMs < Math.min(askS * 1000, PAUSE_MS)) await pause(PAUSE_MS);
    }
  }

  /** A task's data: its input, and the results of its steps by their names. */
  async data(taskUuid: string): Promise<TaskData> {
    return this.#ask({ method: "GET", path: `${taskPath(taskUuid)}/context` });
  }

  /** Why a task waits: every unmet condition of each of its open steps. */
  async why(taskUuid: string): Promise<TaskWhy> {
    return this.#ask({ method: "GET", path: `${taskPath(taskUuid)}/why` });
  }

  /** Ends a task. Throws TaskNotFound, ActionForbidden. */
  async cancel(taskUuid: string, about: ActOptions = {}): Promise<Task> {
    return this.#ask({ method: "DELETE", path: taskPath(taskUuid), query: actFields(about) });
  }

  /** Hands out no further steps of a task until it is resumed. */
  async pause(taskUuid: string, about: ActOptions = {}): Promise<Task> {
    return this.#post(`${taskPath(taskUuid)}/pause`, actFields(about));
  }

  /** Lets a paused task go on. */
  async resume(taskUuid: string, about: ActOptions = {}): Promise<Task> {
    return this.#post(`${taskPath(taskUuid)}/resume`, actFields(about));
  }

  // Steps -----------------------------------------------------------------------------------------------------------

  /** The steps of a task, with their results and errors. */
  async steps(taskUuid: string): Promise<Step[]> {
    return this.#ask({ method: "GET", path: `${taskPath(taskUuid)}/workflow_steps` });
  }

  /** Runs a failed step again, with all its tries. `step` is its name or its id. */
  async retryStep(taskUuid: string, step: string, about: ActOptions & { actor: string }): Promise<Step> {
    const { actor, ...said } = actFields(about);
    return this.#act(taskUuid, step, { action_type: "reset_for_retry", reset_by: actor, ...said });
  }

  /** Counts a step as done, without a result. */
  async resolveStep(taskUuid: string, step: string, about: ActOptions & { actor: string }): Promise<Step> {
    const { actor, ...said } = actFields(about);
    return this.#act(taskUuid, step, { action_type: "resolve_manually", resolved_by: actor, ...said });
  }

  /** Gives a step its result; what depends on it goes on with that. */
  async completeStep(
    taskUuid: string,
    step: string,
    result: unknown,
    about: ActOptions & { actor: string },
  ): Promise<Step> {
    const { actor, ...said } = actFields(about);
    const action = { action_type: "complete_manually", completed_by: actor, completion_data: { result }, ...said };
    return this.#act(taskUuid, step, action);
  }

  async #act(taskUuid: string, step: string, action: Record<string, unknown>): Promise<Step> {
    const isId = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(step);
    const stepUuid = isId ? step : await this.#stepUuid(taskUuid, step);
    const path = `${taskPath(taskUuid)}/workflow_steps/${encodeURIComponent(stepUuid)}`;
    return this.#ask({ method: "PATCH", path, body: JSON.stringify({ reason: "", ...action }) });
  }

  async #stepUuid(taskUuid: string, name: string): Promise<string> {
    const steps = await this.steps(taskUuid);
    const found = steps.find((one) => one.name === name);
    if (found !== undefined) return found.step_uuid;
    const names = steps.map((one) => one.name).join(", ");
    throw new TaskerError(`task ${taskUuid} has no step "${name}"; it has: ${names}`, { kind: "step_not_found" });
  }

  // Streams ---------------------------------------------------------------------------------------------------------

  /** Where a task and its steps stand and then what changes, until it has ended. A cut does not end it. */
  watch(taskUuid: string, options: { cursor?: string; signal?: AbortSignal } = {}): AsyncGenerator<Update, void, void> {
    return follow(this.server, `${taskPath(taskUuid)}/events`, {}, options);
  }

  /** Where each task that moves stands, from now on, or from the cursor of an update on; until `signal` is aborted. */
  watchAll(options: { namespace?: string; cursor?: string; signal?: AbortSignal } = {}): AsyncGenerator<Update, void, void> {
    return follow(this.server, "/v1/tasks/events", { namespace: options.namespace }, options);
  }

  // Anything else ---------------------------------------------------------------------------------------------------

  /** Any other call of the API: it is sent again where it fails in passing, so it must be one that may be repeated. */
  async call(method: string, path: string, said: { query?: Record<string, unknown>; body?: unknown } = {}): Promise<any> {
    const { query = {}, body } = said;
    return this.#ask({ method, path, query, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }

  #post(path: string, body: Record<string, unknown>): Promise<any> {
    return this.#ask({ method: "POST", path, body: JSON.stringify(body) });
  }

  async #ask(request: Request): Promise<any> {
    const untilMs = performance.now() + this.#retryMs + (request.waitS ?? 0) * 1000;
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask(this.server, request);
      } catch (error) {
        const pauseMs = pauseBefore(error, attempt);
        const isOver = attempt >= this.#attemptsMax || performance.now() + (pauseMs ?? 0) > untilMs;
        if (pauseMs === null || isOver) throw error;
        await pause(pauseMs);
      }
    }
  }
}

/** How long to wait before the same is sent again; null where that cannot help. */
function pauseBefore(error: unknown, attempt: number): number | null {
  if (!(error instanceof ServerUnavailable || error instanceof Backpressure)) return null;
  if (error.kind === "quota_exceeded") return null;
  if (error.retryAfterS !== undefined) {
    return error.retryAfterS <= RETRY_AFTER_S_MAX ? error.retryAfterS * 1000 : null;
  }
  return Math.min(WAIT_FIRST_MS * 2 ** (attempt - 1), WAIT_MS_MAX) * (0.5 + Math.random() / 2);
}

function taskPath(taskUuid: string): string {
  return `/v1/tasks/${encodeURIComponent(taskUuid)}`;
}

/** As the API names fields; what is not said is left out. */
function apiFields(fields: object): Record<string, unknown> {
  const said: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const own = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    said[own] = value instanceof Date ? value.toISOString() : value;
  }
  return said;
}

function actFields(about: ActOptions): Record<string, unknown> {
  return apiFields({ actId: uuid7(), ...about });
}
