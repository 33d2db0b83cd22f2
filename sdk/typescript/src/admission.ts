import { MemberResults } from "./batch.js";
import { FIRST_MEMBER } from "./ids.js";
import { isObject, type Json, type JsonObject } from "./json.js";
import { Held } from "./held.js";
import { troubleOf, type Line } from "./line.js";
import { words, type Logger } from "./log.js";
import { EXPANDED, isSuccess, outcomeOfError, released } from "./outcomes.js";
import type { Grant, Loaded, TurnTaken } from "./protocol.js";
import type { Registry } from "./registry.js";
import { PermanentError, RetryableError } from "./step-errors.js";
import { readTemplate, type Template } from "./template.js";

const UNREADABLE_DELAY_S = 5;
const LOAD_MAX = 50;

/**
 * From the rows of an answer to steps that can start, with their inputs and the results that they need.
 *
 * It knows the templates that this worker has met. What cannot be made ready to run gets an outcome at once.
 */
export class Admission {
  readonly #templates = new Map<number, Template | null>();

  constructor(
    private readonly line: Line,
    private readonly registry: Registry,
    private readonly log: Logger,
  ) {}

  /**
   * The granted steps of an answer. `batch` is what the same turn reported: what it freed inherits from that, because
   * the server does not send back what it was just sent.
   *
   * @throws what the calls of the line throw: then nobody holds what was granted, and the next turn asks for it again.
   */
  async admit(session: string, answer: TurnTaken, batch: readonly Held[]): Promise<Held[]> {
    const unknown = new Set(answer.grants.map((one) => one.template_id).filter((id) => !this.#templates.has(id)));
    if (unknown.size) await this.#learn(session, [...unknown]);
    const admitted = answer.grants.map((grant) => this.#held(grant));
    for (const held of admitted) inherit(held, batch);
    fill(admitted, answer);
    const incomplete = admitted.filter((held) => held.outcome === null && wantedOf(held).length > 0);
    if (incomplete.length) await this.#complete(session, incomplete);
    await this.#join(session, admitted);
    await this.#findCheckpoints(session, admitted);
    return admitted;
  }

  async #learn(session: string, ids: readonly number[]): Promise<void> {
    const { templates } = await this.line.load(session, { templates: [...ids] });
    for (const { template_id, definition } of templates) {
      try {
        this.#templates.set(template_id, readTemplate(definition));
      } catch (error) {
        // A newer version published it: its steps are for the workers of that version.
        this.log.error("cannot read a template; its steps are handed back", { template_id, error: words(error) });
        this.#templates.set(template_id, null);
      }
    }
  }

  #held(grant: Grant): Held {
    const template = this.#templates.get(grant.template_id) ?? null;
    if (template === null) {
      const held = new Held(grant, unreadable(grant));
      held.outcome = released(UNREADABLE_DELAY_S);
      return held;
    }
    const held = new Held(grant, template);
    held.handler = this.registry.resolve(held.step.handlerKey);
    if (held.step.isBatch && grant.number < FIRST_MEMBER) held.outcome = EXPANDED;
    else if (held.handler === null) {
      const message = `this worker has no handler "${held.step.handlerKey}"`;
      held.outcome = outcomeOfError(new PermanentError(message, { errorCode: "handler_not_found" }));
    }
    return held;
  }

  /** Loads what the grants did not carry: large inputs and results, and steps further up. */
  async #complete(session: string, incomplete: readonly Held[]): Promise<void> {
    for (let start = 0; start < incomplete.length; start += LOAD_MAX) {
      const part = incomplete.slice(start, start + LOAD_MAX);
      const found = await this.#load(session, part);
      if (found !== null) fill(part, found);
      for (const held of part) held.input ??= {};
    }
  }

  /** What these lack. Where one of their tasks is refused they are asked for one by one, and that one is tried again. */
  async #load(session: string, part: readonly Held[]): Promise<Loaded | null> {
    const wanted = part.flatMap(wantedOf);
    const named = (kind: Want["kind"]) =>
      wanted.filter((one) => one.kind === kind).map(({ task_uuid, number }) => ({ task_uuid, number }));
    try {
      const contexts = [...new Set(named("context").map((one) => one.task_uuid))];
      return await this.line.load(session, { contexts, results: named("result"), items: named("item") });
    } catch (error) {
      if (["away", "unknown"].includes(troubleOf(error))) throw error;
      if (part.length > 1) {
        for (const held of part) await this.#complete(session, [held]);
        return null;
      }
      const message = `what the step needs could not be loaded: ${words(error)}`;
      part[0]!.outcome = outcomeOfError(new RetryableError(message));
      return null;
    }
  }

  /** Puts what the members of batches returned in the place of their count. */
  async #join(session: string, admitted: readonly Held[]): Promise<void> {
    const joining = admitted.flatMap((held) => batchesOf(held).map((name) => ({ held, name })));
    if (joining.length === 0) return;
    const members = joining.map(({ held, name }) => placeOf(held, name));
    const found = await this.line.load(session, { members });
    const byPlace = new Map(found.members.map((one) => [`${one.task_uuid}/${one.number}`, one.members]));
    for (const { held, name } of joining) {
      const { task_uuid, number } = placeOf(held, name);
      const counts = held.results.get(name) as JsonObject;
      held.results.set(name, new MemberResults(counts, byPlace.get(`${task_uuid}/${number}`) ?? []));
    }
  }

  async #findCheckpoints(session: string, admitted: readonly Held[]): Promise<void> {
    const again = admitted.filter((held) => held.grant.attempt > 1 && held.outcome === null);
    if (again.length === 0) return;
    const wanted = again.map(({ fence: { task_uuid, number } }) => ({ task_uuid, number }));
    const { checkpoints } = await this.line.load(session, { checkpoints: wanted });
    const byPlace = new Map(checkpoints.map((one) => [`${one.task_uuid}/${one.number}`, one.checkpoint]));
    for (const held of again) held.checkpoint = byPlace.get(held.place) ?? null;
  }
}

interface Want {
  readonly kind: "context" | "result" | "item";
  readonly task_uuid: string;
  readonly number: number;
}

/** The names of the steps whose results the handler of a step reads. */
export function needsOf(held: Held): readonly string[] {
  const declared = held.handler?.needs ?? null;
  const all = held.step.ancestors;
  if (declared !== null) return all.filter((name) => declared.has(name));
  // A member is handed its item, not the whole list.
  return all.filter((name) => name !== held.step.itemsFrom);
}

function wantedOf(held: Held): Want[] {
  const task_uuid = held.fence.task_uuid;
  const wanted: Want[] = needsOf(held)
    .filter((name) => !held.results.has(name))
    .map((name) => ({ kind: "result", ...placeOf(held, name) }));
  if (held.input === null) wanted.push({ kind: "context", task_uuid, number: 0 });
  const isMember = held.fence.number >= FIRST_MEMBER;
  if (isMember && held.part === null) wanted.push({ kind: "item", task_uuid, number: held.fence.number });
  return wanted;
}

function placeOf(held: Held, name: string): { task_uuid: string; number: number } {
  return { task_uuid: held.fence.task_uuid, number: held.template.byName.get(name)!.number };
}

/** The batches before a step whose members' results are not there yet. */
function batchesOf(held: Held): string[] {
  if (held.outcome !== null) return [];
  const isCounted = (found: unknown): boolean => isObject(found) && !(found instanceof MemberResults);
  return needsOf(held).filter((name) => held.template.byName.get(name)!.isBatch && isCounted(held.results.get(name)));
}

/** What a step takes over from those that freed it. */
function inherit(held: Held, batch: readonly Held[]): void {
  for (const parent of batch) {
    if (parent.fence.task_uuid !== held.fence.task_uuid || !isSuccess(parent.outcome)) continue;
    held.input ??= parent.input;
    held.correlationId ??= parent.correlationId;
    for (const [name, result] of parent.results) held.results.set(name, result);
    // What a batchable step returned is kept without its parts, and a member's result is not its batch's.
    if (parent.outcome.kind === "batched" || parent.step.isBatch) continue;
    held.results.set(parent.step.name, parent.outcome.value ?? {});
  }
}

/** Puts what an answer carries into the steps that it is for. */
function fill(admitted: readonly Held[], found: Pick<TurnTaken, "contexts" | "results" | "items">): void {
  const inputs = new Map(found.contexts.map((one) => [one.task_uuid, one]));
  const items = new Map(found.items.map((one) => [`${one.task_uuid}/${one.number}`, one]));
  const results = new Map<string, Map<number, Json>>();
  for (const { task_uuid, number, result } of found.results) {
    if (!results.has(task_uuid)) results.set(task_uuid, new Map());
    results.get(task_uuid)!.set(number, result);
  }
  for (const held of admitted) {
    const input = inputs.get(held.fence.task_uuid);
    held.input ??= input?.context ?? null;
    held.correlationId ??= input?.correlation_id ?? null;
    const item = items.get(held.place);
    if (item !== undefined) held.part = { batchId: item.batch_id, item: item.item };
    for (const [number, result] of results.get(held.fence.task_uuid) ?? []) {
      const name = held.template.steps[number - 1]?.name;
      if (name !== undefined && !held.results.has(name)) held.results.set(name, result);
    }
  }
}

/** Stands for a template that this version cannot read. */
function unreadable(grant: Grant): Template {
  const number = grant.number < FIRST_MEMBER ? grant.number : Math.floor(grant.number / FIRST_MEMBER);
  const steps = Array.from({ length: number }, (_, index) => ({
    ...{ name: `step ${index + 1}`, number: index + 1, type: "standard", handlerKey: "", configuration: {} },
    ...{ maxAttempts: 1, timeoutS: null, isBatch: false, isForEach: false, batchSize: 1, cursorField: "id" },
    ...{ failureStrategy: "", resultSchema: null, ancestors: [], itemsFrom: null },
  }));
  return { fullName: `template ${grant.template_id}`, steps, byName: new Map(), inputSchema: null };
}

