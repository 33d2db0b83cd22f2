/** What the API answers, with its own field names; times are ISO texts with a zone. A server may say more. */

/** What keeps a step from running, or nothing. */
export interface StepReadiness {
  workflow_step_uuid: string;
  name: string;
  current_state: string;
  ready_for_execution: boolean;
  next_retry_at: string | null;
  attempts: number;
  max_attempts: number;
  /** What it waits for, in a sentence. */
  why: string | null;
}

/** A task. */
export interface Task {
  task_uuid: string;
  name: string;
  namespace: string;
  version: string;
  /** `pending`, …, `complete`, `error`, `cancelled`. */
  status: string;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  completed_at: string | null;
  /** Null in lists, and for callers who may not read it. */
  context: Record<string, any> | null;
  priority: number | null;
  tags: string[] | null;
  correlation_id: string | null;
  idempotency_key: string | null;
  is_paused: boolean;
  /** It existed before this request, which asked for the same. */
  is_duplicate: boolean;
  total_steps: number;
  completed_steps: number;
  failed_steps: number;
  completion_percentage: number;
  health_status: string;
  /** Empty in lists. */
  steps: StepReadiness[];
}

/** A page of tasks. */
export interface TaskPage {
  tasks: Task[];
  pagination: {
    page: number;
    per_page: number;
    total_count: number | null;
    has_next: boolean;
    /** Leads to the next page; null where this is the last one. */
    next_cursor: string | null;
  };
}

/** A step of a task. */
export interface Step {
  step_uuid: string;
  task_uuid: string;
  name: string;
  number: number;
  current_state: string;
  results: any;
  /** The record of its last failure. */
  error: Record<string, any> | null;
  /** How often it was handed to a worker. */
  attempt: number;
  /** Executions that ended, as the retry policy counts them. */
  attempts: number;
  max_attempts: number;
  dependencies: string[];
  is_not_taken: boolean;
  handler: string;
  queue: string;
  held_by: string | null;
}

/** A task's data. */
export interface TaskData {
  inputs: Record<string, any>;
  /** The results of steps, by their names. */
  outputs: Record<string, any>;
  /** Both together. */
  merged: Record<string, any>;
}

/** Where a task stands, and what each of its open steps waits for. */
export interface TaskWhy {
  task_uuid: string;
  state: string;
  is_paused: boolean;
  /** In a sentence. */
  said: string;
  steps: {
    step_uuid: string;
    number: number;
    name: string;
    state: string;
    conditions: { kind: string; said: string; data: Record<string, any> }[];
  }[];
}

/** Something that has changed. The first update of a stream, `ready`, only says that it has begun. */
export interface Update {
  update_type: "ready" | "task_state" | "step_state";
  timestamp: string;
  task_uuid: string | null;
  namespace: string | null;
  name: string | null;
  task_state: string | null;
  step: { step_uuid: string; name: string; state: string; attempt: number | null } | null;
  error_message: string | null;
  /** The task has ended, and the stream with it. */
  is_last: boolean;
  cursor: string;
}
