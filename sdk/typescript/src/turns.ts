/*
 * The turns of a worker: report what is done and take what there is to do, in one call; and what becomes of a call whose
 * answer is lost.
 *
 * - Reports leave as soon as there is an outcome and no report is under way. What ends meanwhile goes with the next.
 * - While there is room and nothing to report, one turn waits at the server for work. An outcome does not wait for it:
 *   the next turn goes out beside it, has a higher number, and so the one that waits is answered without grants.
 * - When a call fails, nobody knows whether it happened. Outcomes stay here, and the next turn names all that this worker
 *   holds: what it was granted without hearing of it comes again, under the same attempt. An answer that is older than
 *   that turn and arrives after all grants nothing any more.
 */
import { setImmediate as nextRound, setTimeout as pause } from "node:timers/promises";
import type { Admission } from "./admission.js";
import { TurnSuperseded } from "./errors.js";
import type { Executor } from "./executor.js";
import type { Held } from "./held.js";
import { troubleOf, type Line } from "./line.js";
import { words, type Logger } from "./log.js";
import { outcomeOfError, released } from "./outcomes.js";
import { Outbox, outcomeText, type OutcomeBatch } from "./outbox.js";
import { keyOf, type Fence, type SessionOpened, type TurnTaken } from "./protocol.js";
import { Signal } from "./signal.js";
import type { Slots } from "./slots.js";
import { StepValidationError } from "./step-errors.js";

const WAIT_S = 20;
const LINGER_DELAY_S = 1;
const TROUBLE_PAUSE_MS = 100;
const TROUBLE_PAUSE_MS_MAX = 2000;
const REST_MS_MAX = 60_000;
/** While steps run, a turn waits for work only after a lull: most outcomes come sooner, and would leave it in vain. */
const LULL_MS = 20;
const CLAIM_PAUSE_MS = 50;

/** What has happened since the start. */
export interface Counts {
  turns: number;
  outcomes: number;
  granted: number;
  already: number;
  stale: number;
  deferred: number;
  refused: number;
  gone: number;
  lostAnswers: number;
}

interface Waiting {
  readonly number: number;
  readonly free: number;
}

/** The turns of one worker, session after session. */
export class Turns {
  executor!: Executor;
  session!: SessionOpened;
  sessionEnded = false;
  isDraining = false;
  /** An operator wants nothing new to be taken. */
  isPaused = false;
  readonly counts: Counts = {
    ...{ turns: 0, outcomes: 0, granted: 0, already: 0, stale: 0 },
    ...{ deferred: 0, refused: 0, gone: 0, lostAnswers: 0 },
  };
  readonly #outbox = new Outbox();
  readonly #wake = new Signal();
  #number = 0;
  /** The last turn that named all that is held: what older ones grant is void. */
  #settled = 0;
  #isUncertain = false;
  #waiting: Waiting | null = null;
  /** Ends every turn that still waits, those that newer ones have overtaken included. */
  readonly #waits = new Set<AbortController>();
  /** The last claim filled all slots: there may be more. */
  #isHungry = false;
  #claimedAt = 0;
  /** A step that is to run with nothing beside it. */
  #alone: Held | null = null;
  #aloneRuns = false;
  #pauseMs = TROUBLE_PAUSE_MS;

  constructor(
    private readonly line: Line,
    private readonly slots: Slots,
    private readonly admission: Admission,
    private readonly log: Logger,
  ) {}

  /** True when nothing runs and nothing waits to be reported. */
  get isIdle(): boolean {
    return this.slots.count === 0 && this.slots.coming === 0 && this.#outbox.size === 0 && this.#alone === null;
  }

  /** What runs, or is about to. */
  running(): Held[] {
    return this.#alone && !this.#aloneRuns ? [...this.slots.running, this.#alone] : this.slots.running;
  }

  /** Something has changed: look. */
  wake(): void {
    this.#wake.set();
  }

  /** Takes nothing more; what has not started goes back. */
  drain(): void {
    this.isDraining = true;
    if (this.#alone && !this.#aloneRuns) {
      this.#handBack(this.#alone);
      this.#alone = null;
    }
    this.wake();
  }

  /** The executor has finished with a step. */
  done(held: Held): void {
    if (held === this.#alone) [this.#alone, this.#aloneRuns] = [null, false];
    if (held.outcome !== null) this.#outbox.put(held);
    this.wake();
  }

  /** These attempts are held no longer: their handlers are stopped, their outcomes would be stale. */
  lost(gone: readonly Fence[]): void {
    for (const fence of gone) {
      const held = this.running().find((one) => one.key === keyOf(fence));
      if (held === undefined || held.isGone) continue;
      this.counts.gone += 1;
      if (held === this.#alone && !this.#aloneRuns) this.#alone = null;
      else this.executor.stop(held, "gone");
    }
    this.wake();
  }

  /** Nobody knows what became of the last turn: the next one finds out. */
  doubt(): void {
    this.#isUncertain = true;
  }

  /** Begins to turn for a session. */
  enter(session: SessionOpened): void {
    this.session = session;
    this.sessionEnded = this.isPaused = this.#isUncertain = this.#isHungry = false;
    this.#settled = this.#number; // what a turn of the session before may still answer is void
  }

  /** Turns until the session has ended, or until all is done while draining. */
  async run(): Promise<"ended" | "drained"> {
    for (;;) {
      await nextRound(); // what has just begun may end at once: then it leaves with this turn
      if (this.sessionEnded) return this.#left("ended");
      if (this.isDraining && this.isIdle) return this.#left("drained");
      this.#wake.clear();
      const batch = this.#outbox.take();
      if (batch !== null || this.#isUncertain) await this.#turn(batch ?? { held: [], isLate: false });
      else if (this.#mayRunAlone()) await this.#runAlone(this.#alone!);
      else await this.#rest();
    }
  }

  /** Returns when something has happened; meanwhile a turn waits for work, if there is room for it. */
  async #rest(): Promise<void> {
    const mayWait = this.#waiting === null && this.#room > 0;
    if (mayWait && this.slots.count > 0 && !this.#isHungry && (await this.#wake.wait(LULL_MS))) return;
    if (mayWait && this.#waiting === null && this.#room > 0) this.#beginWaiting(this.#room);
    await this.#wake.wait(this.#outbox.nextMs ?? REST_MS_MAX);
  }

  /** The session has ended: what is done is reported under it (the fence decides), what runs is stopped. */
  async leave(): Promise<void> {
    for (const held of this.slots.running) this.executor.stop(held, "gone");
    if (!this.#aloneRuns) this.#alone = null;
    const rest = this.#outbox.list();
    this.#outbox.clear();
    if (rest.length === 0) return;
    try {
      const answer = await this.#ask(++this.#number, { free: [0], claim: false }, rest);
      this.#judge(answer, rest);
    } catch (error) {
      this.counts.stale += rest.length;
      this.log.warn("outcomes could not be recorded before their session ended", {
        outcomes: rest.length,
        error: words(error),
      });
    }
  }

  #left(how: "ended" | "drained"): "ended" | "drained" {
    for (const controller of this.#waits) controller.abort(); // the end of the session hands back whatever it is still granted
    this.#waiting = null;
    return how;
  }

  get #room(): number {
    if (this.isDraining || this.isPaused || this.#alone !== null) return 0;
    return this.slots.free;
  }

  // The turn that waits for work ------------------------------------------------------------------------------------

  #beginWaiting(free: number): void {
    const waiting = { number: ++this.#number, free };
    this.#waiting = waiting;
    this.#claimedAt = performance.now();
    void this.#waitForWork(waiting);
  }

  async #waitForWork(waiting: Waiting): Promise<void> {
    const { number, free } = waiting;
    const controller = new AbortController();
    this.#waits.add(controller);
    const waitS = Math.min(WAIT_S, this.session.wait_s_max);
    const session = this.session;
    try {
      const answer = await this.#ask(number, { free: [free], wait: waitS }, [], { waitS, signal: controller.signal });
      if (this.#waiting === waiting) this.#waiting = null;
      if (!answer.superseded) this.#isHungry = answer.grants.length >= free;
      if (session === this.session) await this.#takeIn(answer, [], number);
    } catch (error) {
      if (this.#waiting === waiting) this.#waiting = null;
      if (!controller.signal.aborted && session === this.session) await this.#waitFailed(error, number);
    } finally {
      this.#waits.delete(controller);
    }
    this.wake();
  }

  /** A newer turn has found out, or will, what became of one that waited. */
  async #waitFailed(error: unknown, number: number): Promise<void> {
    if (number <= this.#settled) return;
    if (number < this.#number && error instanceof TurnSuperseded) return; // it came late, and did nothing
    if (troubleOf(error) === "unknown") {
      this.sessionEnded = true;
      return;
    }
    this.#isUncertain = true;
    await this.#trouble(error);
  }

  // The turn that reports -------------------------------------------------------------------------------------------

  async #turn(batch: OutcomeBatch): Promise<void> {
    const number = ++this.#number;
    const wasUncertain = this.#isUncertain;
    // What the waiting turn may take is not to be had twice; once this one is answered the other takes nothing.
    const free = Math.max(0, this.#room - (this.#waiting?.free ?? 0));
    const claim = free > 0 && (this.#isHungry || performance.now() - this.#claimedAt > CLAIM_PAUSE_MS);
    const said: Record<string, unknown> = { free: [free], claim, may_wait: batch.isLate };
    if (wasUncertain) {
      said["held"] = [...this.running(), ...this.#outbox.list(), ...batch.held].map((one) => one.fence);
      this.#isUncertain = false;
    }
    const waiting = this.#waiting;
    try {
      const answer = await this.#ask(number, said, batch.held);
      if (wasUncertain) this.#settled = number;
      if (this.#waiting === waiting) this.#waiting = null;
      if (claim) [this.#isHungry, this.#claimedAt] = [answer.grants.length >= free, performance.now()];
      this.#pauseMs = TROUBLE_PAUSE_MS;
      this.#outbox.grow();
      await this.#takeIn(answer, batch.held, number);
    } catch (error) {
      await this.#turnFailed(error, batch);
    }
  }

  /** Whatever is wrong, no outcome is lost: it is reported again. */
  async #turnFailed(error: unknown, { held }: OutcomeBatch): Promise<void> {
    for (const one of held) if (one.outcome !== null) this.#outbox.put(one);
    const trouble = troubleOf(error);
    if (trouble === "unknown") {
      this.sessionEnded = true;
      return;
    }
    this.#isUncertain = true;
    if (trouble !== "data" || held.length === 0 || held[0]!.isRefused) {
      await this.#trouble(error);
    } else if (held.length > 1) {
      this.#outbox.halve(held.length);
    } else {
      this.#refuse(held[0]!, words(error));
    }
  }

  /** The server cannot read this outcome: the step fails, and its record says why. */
  #refuse(held: Held, why: string): void {
    this.log.error("the server refused an outcome: the step fails", { step: held.name, error: why });
    held.isRefused = true;
    const message = `the server refused the outcome of this step: ${why}`;
    held.outcome = outcomeOfError(new StepValidationError(message, { errorCode: "invalid_result" }));
  }

  async #trouble(error: unknown): Promise<void> {
    this.counts.lostAnswers += 1;
    this.log.warn("a turn was not answered; nothing is lost, trying again", { error: words(error) });
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(pauseMs * 2, TROUBLE_PAUSE_MS_MAX);
    await pause(pauseMs * (0.5 + Math.random() / 2));
  }

  /** One call. Results are put in as the texts that they are. */
  #ask(
    number: number,
    said: Record<string, unknown>,
    held: readonly Held[],
    options: { waitS?: number; signal?: AbortSignal } = {},
  ): Promise<TurnTaken> {
    this.counts.turns += 1;
    this.counts.outcomes += held.length;
    const head = JSON.stringify({ turn: number, ...said }).slice(0, -1);
    const body = `${head},"outcomes":[${held.map(outcomeText).join(",")}]}`;
    return this.line.call(this.session.session_uuid, "turn", body, options);
  }

  // Taking in -------------------------------------------------------------------------------------------------------

  /** Lets go of what is recorded, starts what was granted. */
  async #takeIn(answer: TurnTaken, batch: readonly Held[], number: number): Promise<void> {
    if (answer.session_ended) this.sessionEnded = true;
    for (const held of this.#judge(answer, batch)) this.#outbox.defer(held);
    this.lost(answer.gone);
    if (number < this.#settled || answer.grants.length === 0 || this.sessionEnded) return;
    this.counts.granted += answer.grants.length;
    this.slots.coming += answer.grants.length;
    const session = this.session;
    let admitted: Held[];
    try {
      admitted = await this.admission.admit(session.session_uuid, answer, batch);
    } catch (error) {
      if (session !== this.session) return; // another has begun meanwhile, and owes this one nothing
      // Nobody holds what was granted: the next turn says so, and is granted it again.
      if (troubleOf(error) === "unknown") this.sessionEnded = true;
      this.#isUncertain = true;
      await this.#trouble(error);
      return;
    } finally {
      this.slots.coming -= answer.grants.length;
    }
    if (session !== this.session || this.sessionEnded) return;
    for (const held of admitted) this.#begin(held);
  }

  /** Counts the verdicts; what is to be sent again. */
  #judge(answer: TurnTaken, batch: readonly Held[]): Held[] {
    const verdicts = new Map(answer.verdicts.map((one) => [keyOf(one), one]));
    return batch.filter((held) => {
      const found = verdicts.get(held.key);
      if (found === undefined || found.verdict === "recorded") return false;
      this.counts[found.verdict] += 1;
      const about = { task_uuid: held.fence.task_uuid, step: held.name, reason: found.reason };
      if (found.verdict === "stale") this.log.warn("an outcome came too late", about);
      if (found.verdict === "refused") this.log.error("an outcome was refused: the step fails", about);
      return found.verdict === "deferred";
    });
  }

  #begin(held: Held): void {
    const other = this.slots.find(held.place);
    if (other?.key === held.key || this.#holds(held)) return; // an answer that came twice
    if (held.outcome !== null) this.#outbox.put(held);
    else if (other !== null) this.#handBack(held, LINGER_DELAY_S);
    else if (this.isDraining || this.#aloneRuns || this.slots.free === 0 || (held.grant.is_alone && this.#alone)) {
      this.#handBack(held);
    } else if (held.grant.is_alone) this.#alone = held;
    else this.executor.start(held);
    this.wake();
  }

  #holds(held: Held): boolean {
    return this.#alone?.key === held.key || this.#outbox.list().some((one) => one.key === held.key);
  }

  #handBack(held: Held, delayS?: number): void {
    held.outcome = released(delayS);
    this.#outbox.put(held);
    this.wake();
  }

  // Alone -----------------------------------------------------------------------------------------------------------

  #mayRunAlone(): boolean {
    const isAlone = this.slots.count === 0 && this.slots.coming === 0 && this.#outbox.size === 0;
    return this.#alone !== null && !this.#aloneRuns && isAlone;
  }

  /**
   * Runs a suspect when nothing else is in flight, and says so first: if the worker dies, it was this step. Beside a
   * handler that lingers it says nothing: then the blame would not be certain.
   */
  async #runAlone(held: Held): Promise<void> {
    if (!this.slots.hasLingering) {
      const beat = JSON.stringify({ started: [{ ...held.fence, ago_s: 0 }], held: [held.fence] });
      try {
        const answer = await this.line.call(this.session.session_uuid, "beat", beat);
        if (answer.session_ended) this.sessionEnded = true;
        this.lost(answer.gone);
      } catch (error) {
        if (troubleOf(error) === "unknown") this.sessionEnded = true;
        else await this.#trouble(error);
        return;
      }
    }
    if (this.#alone !== held || this.sessionEnded) return;
    this.#aloneRuns = true;
    this.executor.start(held);
  }
}
