import type { CheckpointState } from "./context.js";
import type { Handler } from "./handlers.js";
import type { Json, JsonObject } from "./json.js";
import type { Outcome } from "./outcomes.js";
import { fenceOf, keyOf, type Fence, type Grant } from "./protocol.js";
import { stepOf, type StepPlan, type Template } from "./template.js";

/** Which part of its batch a step is, and what it works on. */
export type Part = { readonly batchId: string; readonly item: Json };

/** A step that the worker holds, from its grant until its outcome is recorded. */
export class Held {
  readonly fence: Fence;
  readonly key: string;
  readonly step: StepPlan;
  input: JsonObject | null = null;
  correlationId: string | null = null;
  /** By the names of steps: of parents, and of further ones before it that this worker has seen. */
  readonly results = new Map<string, unknown>();
  part: Part | null = null;
  checkpoint: CheckpointState | null = null;
  handler: Handler | null = null;
  readonly controller = new AbortController();
  /** When it started, in ms of performance.now(); 0 before. */
  startedAt = 0;
  /** When it started, or last said that it is alive: its timeout runs from here. */
  aliveAt = 0;
  timer: NodeJS.Timeout | null = null;
  outcome: Outcome | null = null;
  runS = 0;
  isTimedOut = false;
  /** It was cancelled, or taken away: nobody wants its outcome. */
  isGone = false;
  /** The worker stops, and hands it back. */
  isReleased = false;
  /** Its outcome is settled although its handler still runs. */
  isLeft = false;
  /** The server refused its outcome as it was; now it says so. */
  isRefused = false;
  /** How many times its outcome was deferred. */
  rounds = 0;

  constructor(
    readonly grant: Grant,
    readonly template: Template,
  ) {
    this.fence = fenceOf(grant);
    this.key = keyOf(grant);
    this.step = stepOf(template, grant.number);
  }

  /** Which step of which task, whatever the attempt. */
  get place(): string {
    return `${this.fence.task_uuid}/${this.fence.number}`;
  }

  /** The step's name; that of a member of a batch is its batch's with its id. */
  get name(): string {
    return this.part === null ? this.step.name : `${this.step.name}_${this.part.batchId}`;
  }

  /** True when its handler was told to stop. */
  get isTold(): boolean {
    return this.isGone || this.isReleased || this.isTimedOut;
  }
}
