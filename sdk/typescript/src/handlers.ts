import { apiOf, apiRules, type Api, type ApiOptions } from "./api.js";
import type { Batch, Batches } from "./batch.js";
import { Checkpoint, type StepContext } from "./context.js";
import type { Decision } from "./decision.js";
import { InvalidHandler } from "./errors.js";
import { StepValidationError } from "./step-errors.js";

/** What a handler may return: a value, a promise of one, or a generator that yields checkpoints and returns one. */
export type Returned<R> = R | Promise<R> | AsyncGenerator<Checkpoint, R, void>;

/** A handler as a worker calls it. */
export interface Handler {
  /** What templates call it. */
  readonly name: string;
  run(context: StepContext): Returned<unknown>;
  /** The steps whose results it reads; null: all before it. */
  readonly needs: ReadonlySet<string> | null;
  /** The outside system that it depends on, by which its breaker is named; "": none. */
  readonly systemDependency: string;
}

/** What a function is passed, and by which name. */
export interface Declaration {
  /**
   * Results of steps before this one, by the name that the function has for them: `{ cart: "validate_cart" }`. A result
   * that is missing fails the step for good, unless there is a question mark behind the step's name: `"wrap_gift?"`.
   */
  dependsOn?: Record<string, string>;
  /** Fields of the task's input: `["payment_token", "note?"]`; with a question mark it may be missing. */
  inputs?: readonly string[];
  /** The outside system that the handler depends on, by which its breaker is named. */
  systemDependency?: string;
}

/** What every function is passed beside what it declares. `batch`, `item` and `itemIndex` are those of the context. */
export interface Given {
  readonly context: StepContext;
  readonly batch: Batch | null;
  readonly item: any;
  readonly itemIndex: number | null;
}

/** The fields that a function is passed, if it does not say better. */
export type Fields = Record<string, any>;

/**
 * Makes a function the handler `name`.
 *
 * ```ts
 * export const charge = stepHandler("charge", { dependsOn: { cart: "validate_cart" }, inputs: ["token"] },
 *   async ({ cart, token, context }) => ({ id: await pay(cart.total, token, context.idempotencyKey) }));
 * ```
 *
 * A function that declares dependencies is passed those; without a declaration it may read all from `context`.
 *
 * @throws InvalidHandler for a declaration that cannot be.
 */
export function stepHandler<A extends object = Fields, R = unknown>(
  name: string,
  declaration: Declaration,
  run: (given: Given & A) => Returned<R>,
): Handler {
  const readers = readersOf(name, declaration);
  // Who declares nothing may ask the context for any result; who declares is passed what was declared.
  const needs = declaration.dependsOn
    ? new Set(Object.values(declaration.dependsOn).map((step) => step.replace(/\?$/, "")))
    : null;
  return {
    name: named(name),
    needs,
    systemDependency: declaration.systemDependency ?? "",
    run: (context) => run({ ...given(context), ...readAll(context, readers) } as Given & A),
  };
}

/** A handler that decides which of the steps that depend on it will run. */
export function decisionHandler<A extends object = Fields>(
  name: string,
  declaration: Declaration,
  decide: (given: Given & A) => Returned<Decision>,
): Handler {
  return stepHandler<A, Decision>(name, declaration, decide);
}

/** A handler that cuts work into parts, each of which a batch worker does. */
export function batchableHandler<A extends object = Fields>(
  name: string,
  declaration: Declaration,
  cut: (given: Given & A) => Returned<Batches>,
): Handler {
  return stepHandler<A, Batches>(name, declaration, cut);
}

/** A handler that does one part of a batch. It may be an async generator that yields checkpoints. */
export function batchWorkerHandler<A extends object = Fields, R = unknown>(
  name: string,
  declaration: Declaration,
  work: (given: Given & { readonly batch: Batch } & A) => Returned<R>,
): Handler {
  return stepHandler<A, R>(name, declaration, (passed) => {
    if (passed.batch === null) {
      const advice = "give it `type: batch_worker` in the template";
      throw new StepValidationError(`step "${passed.context.stepName}" is no part of a batch: ${advice}`);
    }
    return work(passed as Given & { readonly batch: Batch } & A);
  });
}

/** A handler that calls an HTTP API, and is passed `api` for it. */
export function apiHandler<A extends object = Fields, R = unknown>(
  name: string,
  options: ApiOptions & Declaration,
  call: (given: Given & { readonly api: Api } & A) => Returned<R>,
): Handler {
  const rules = apiRules(`apiHandler("${name}")`, options);
  return stepHandler<A, R>(name, options, (passed) => call({ ...passed, api: apiOf(rules, passed.context) }));
}

/**
 * A handler as a class: `class Ship extends StepHandler { static handlerName = "ship"; async call(context) { … } }`.
 *
 * Each execution gets a fresh instance, whose constructor takes nothing.
 */
export abstract class StepHandler<R = unknown> {
  /** What templates call it. */
  static handlerName = "";
  /** Further methods that templates may name (`handler.method`); each takes the context alone. */
  static methods: readonly string[] = [];
  /** The outside system that it depends on, by which its breaker is named. */
  static systemDependency = "";

  /** Does the step. */
  abstract call(context: StepContext): Returned<R>;
}

/** A class that calls an HTTP API: `this.api(context).post("/charges", { json })`. What is set on it holds for all calls. */
export abstract class ApiHandler<R = unknown> extends StepHandler<R> {
  /** Where paths are called, timeouts, headers: see `ApiOptions`. */
  static options: ApiOptions = {};

  /** The calls of one execution. */
  protected api(context: StepContext): Api {
    const own = this.constructor as typeof ApiHandler;
    return apiOf(apiRules(own.name, own.options), context);
  }
}

/** A class of handlers that can be made. */
export type HandlerClass = (new () => StepHandler) & Omit<typeof StepHandler, "prototype">;

/** The handlers that a class is: itself, and one for each of its further methods. */
export function handlersOfClass(source: HandlerClass): Handler[] {
  const name = named(source.handlerName || "", source.name);
  if (source.prototype instanceof ApiHandler) apiRules(source.name, (source as unknown as typeof ApiHandler).options);
  return ["call", ...source.methods].map((method) => {
    if (typeof (source.prototype as any)[method] !== "function") {
      throw new InvalidHandler(`${source.name} names the method "${method}" and does not have it`);
    }
    return {
      name: method === "call" ? name : `${name}#${method}`,
      needs: null,
      systemDependency: source.systemDependency,
      run: (context: StepContext) => (new source() as any)[method](context),
    };
  });
}

function named(name: string, place = "a handler"): string {
  if (!name || name.length > 255) {
    throw new InvalidHandler(`${place} needs the name that templates use: stepHandler("charge_card", …), or handlerName`);
  }
  return name;
}

function given(context: StepContext): Given {
  return { context, batch: context.batch, item: context.item, itemIndex: context.itemIndex };
}

interface Reader {
  readonly parameter: string;
  readonly what: string;
  readonly isOptional: boolean;
  read(context: StepContext): unknown;
}

function readersOf(name: string, declaration: Declaration): Reader[] {
  const results = Object.entries(declaration.dependsOn ?? {}).map(([parameter, said]): Reader => {
    const step = said.replace(/\?$/, "");
    const read = (context: StepContext): unknown => context.getDependencyResult(step) ?? undefined;
    return { parameter, what: `the result of step "${step}"`, isOptional: said.endsWith("?"), read };
  });
  const inputs = (declaration.inputs ?? []).map((said): Reader => {
    const key = said.replace(/\?$/, "");
    const read = (context: StepContext): unknown => context.getInput(key);
    return { parameter: key, what: `input "${key}"`, isOptional: said.endsWith("?"), read };
  });
  const taken = new Set(["context", "batch", "item", "itemIndex", "api"]);
  for (const { parameter } of [...results, ...inputs]) {
    if (taken.has(parameter)) throw new InvalidHandler(`handler "${name}" is given two things as "${parameter}"`);
    taken.add(parameter);
  }
  return [...results, ...inputs];
}

function readAll(context: StepContext, readers: readonly Reader[]): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const missing: string[] = [];
  for (const reader of readers) {
    const value = reader.read(context);
    if (value !== undefined) found[reader.parameter] = value;
    else if (!reader.isOptional) missing.push(reader.what);
  }
  if (missing.length === 0) return found;
  throw new StepValidationError(
    `step "${context.stepName}" lacks ${missing.join(", ")}: submit the task with it, or write it with a question mark`,
    { errorCode: "missing_input", metadata: { missing } },
  );
}
