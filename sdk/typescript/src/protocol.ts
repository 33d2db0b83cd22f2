/** What workers and servers say to each other, with the names that they use: docs/worker-protocol.md. */
import type { Member } from "./batch.js";
import type { Json, JsonObject } from "./json.js";

export interface Fence {
  task_uuid: string;
  number: number;
  attempt: number;
}

export interface Grant extends Fence {
  tries: number;
  template_id: number;
  is_alone: boolean;
  is_unchecked: boolean;
}

export interface TaskInput {
  task_uuid: string;
  correlation_id: string | null;
  context: JsonObject;
}

export interface StepResult {
  task_uuid: string;
  number: number;
  result: Json;
}

export interface MemberItem {
  task_uuid: string;
  number: number;
  batch_id: string;
  item: Json;
}

export interface Verdict extends Fence {
  verdict: "recorded" | "already" | "stale" | "deferred" | "refused";
  reason: string | null;
}

/** What a turn is answered. */
export interface TurnTaken {
  session_ended: boolean;
  superseded: boolean;
  grants: Grant[];
  contexts: TaskInput[];
  results: StepResult[];
  items: MemberItem[];
  verdicts: Verdict[];
  gone: Fence[];
}

/** What a session is opened with. */
export interface SessionOpened {
  session_uuid: string;
  lease_s: number;
  beat_s: number;
  wait_s_max: number;
  result_bytes_max: number;
  checkpoint_bytes_max: number;
  request_bytes_max: number;
  serving: { handler: string }[];
}

/** What a beat is answered. */
export interface BeatHeard {
  session_ended: boolean;
  gone: Fence[];
  /** What an operator wants of this worker: to take nothing new, and, drained, to end when all is done. */
  wanted?: "paused" | "drained" | null;
}

/** What is asked for, of tasks of which the session holds a step. */
export interface Wanted {
  contexts?: string[];
  results?: { task_uuid: string; number: number }[];
  items?: { task_uuid: string; number: number }[];
  members?: { task_uuid: string; number: number }[];
  checkpoints?: { task_uuid: string; number: number }[];
  templates?: number[];
}

export interface Loaded {
  contexts: TaskInput[];
  results: StepResult[];
  items: MemberItem[];
  members: { task_uuid: string; number: number; members: Member[] }[];
  checkpoints: { task_uuid: string; number: number; checkpoint: any }[];
  templates: { template_id: number; definition: any }[];
}

/** Names an attempt. */
export function keyOf(fence: Fence): string {
  return `${fence.task_uuid}/${fence.number}/${fence.attempt}`;
}

/** The fence alone, of something that has more. */
export function fenceOf({ task_uuid, number, attempt }: Fence): Fence {
  return { task_uuid, number, attempt };
}
