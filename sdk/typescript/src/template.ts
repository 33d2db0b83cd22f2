import { planNumber } from "./ids.js";
import { isObject, type JsonObject } from "./json.js";

/** One step of a template, as far as a worker has to know it. */
export interface StepPlan {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  /** The key of the handler that runs it: its name, with `#method` where another method than `call` is to run. */
  readonly handlerKey: string;
  /** `handler.initialization`. */
  readonly configuration: JsonObject;
  readonly maxAttempts: number;
  readonly timeoutS: number | null;
  /** It runs many times, once for each part or item: the step itself only asks for its members. */
  readonly isBatch: boolean;
  readonly isForEach: boolean;
  readonly batchSize: number;
  readonly cursorField: string;
  readonly failureStrategy: string;
  readonly resultSchema: JsonObject | null;
  /** The names of all steps before it, directly or not, in the template's order. */
  readonly ancestors: readonly string[];
  /** The step that a `for_each` takes its list from. */
  readonly itemsFrom: string | null;
}

/** A template, as a worker runs it. */
export interface Template {
  readonly fullName: string;
  readonly steps: readonly StepPlan[];
  readonly byName: ReadonlyMap<string, StepPlan>;
  readonly inputSchema: JsonObject | null;
}

const TYPES = ["standard", "decision", "deferred_convergence", "batchable", "batch_worker"];
const RESOLVERS_OF_ALL = ["explicit_mapping", "class_lookup"];

/** The step of a template that has this number; of a member of a batch it is its batch. */
export function stepOf(template: Template, number: number): StepPlan {
  const step = template.steps[planNumber(number) - 1];
  if (step === undefined) throw new Error(`${template.fullName} has no step ${number}`);
  return step;
}

/**
 * From a published definition to what a worker needs of it.
 *
 * @throws Error where the definition is none that this version can read: its steps are for newer workers.
 */
export function readTemplate(definition: any): Template {
  const said: any[] = definition.steps;
  const parents = new Map<string, string[]>(said.map((step) => [step.name, step.dependencies ?? []]));
  const batchSizes = new Map<string, number>();
  for (const step of said) {
    if (step.type !== "batch_worker") continue;
    for (const parent of step.dependencies ?? []) batchSizes.set(parent, step.batch_config?.batch_size ?? 1000);
  }
  const isEnforced = definition.enforce_schemas !== false;
  const steps = said.map((step, index) => readStep(step, index + 1, parents, batchSizes, isEnforced));
  return {
    fullName: `${definition.namespace_name}/${definition.name}@${definition.version}`,
    steps,
    byName: new Map(steps.map((step) => [step.name, step])),
    inputSchema: isEnforced && isObject(definition.input_schema) ? (definition.input_schema as JsonObject) : null,
  };
}

function readStep(
  step: any,
  number: number,
  parents: ReadonlyMap<string, readonly string[]>,
  batchSizes: ReadonlyMap<string, number>,
  isEnforced: boolean,
): StepPlan {
  const type: string = step.type ?? "standard";
  if (!TYPES.includes(type)) throw new Error(`step "${step.name}" has the type "${type}", which is newer than this SDK`);
  const batch = step.batch_config ?? {};
  const before = ancestorsOf(step.name, parents);
  const isForEach = typeof step.for_each === "string";
  return {
    name: step.name,
    number,
    type,
    handlerKey: keyOf(step.handler),
    configuration: step.handler.initialization ?? {},
    maxAttempts: step.retry?.max_attempts ?? 3,
    timeoutS: step.timeout_seconds ?? null,
    isBatch: type === "batch_worker" || isForEach,
    isForEach,
    batchSize: batchSizes.get(step.name) ?? batch.batch_size ?? 1000,
    cursorField: batch.cursor_field ?? "id",
    failureStrategy: batch.failure_strategy ?? "continue_on_failure",
    resultSchema: isEnforced && isObject(step.result_schema) ? (step.result_schema as JsonObject) : null,
    ancestors: before,
    itemsFrom: isForEach ? sourceOf(step.for_each, before) : null,
  };
}

function keyOf(handler: any): string {
  const method = handler.method && handler.method !== "call" ? `#${handler.method}` : "";
  const isNamed = handler.resolver && !RESOLVERS_OF_ALL.includes(handler.resolver);
  return `${handler.callable}${method}${isNamed ? `@${handler.resolver}` : ""}`;
}

function ancestorsOf(name: string, parents: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>();
  const waiting = [...(parents.get(name) ?? [])];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    waiting.push(...(parents.get(next) ?? []));
  }
  return [...parents.keys()].filter((one) => found.has(one));
}

/** `load.orders.0` is in the result of `load`; names of steps may have dots, and the longest counts. */
function sourceOf(path: string, before: readonly string[]): string | null {
  const named = before.filter((name) => path === name || path.startsWith(`${name}.`));
  return named.sort((a, b) => b.length - a.length)[0] ?? null;
}
