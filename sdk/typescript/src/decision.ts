import type { JsonObject } from "./json.js";

/** Under this key of a decision's result stands its choice. */
export const DECISION_KEY = "decision_point_outcome";

/** What the handler of a decision returns: `Decision.route(["ship"])`, or `Decision.skip("nothing to ship")`. */
export class Decision {
  private constructor(
    readonly steps: readonly string[],
    readonly reason: string | null,
    readonly context: Record<string, unknown>,
  ) {}

  /** These steps run, by name: one, or several. Each has to depend on the decision. */
  static route(steps: string | readonly string[], reason?: string, context: Record<string, unknown> = {}): Decision {
    return new Decision(typeof steps === "string" ? [steps] : [...steps], reason ?? null, context);
  }

  /** No branch runs. */
  static skip(reason?: string, context: Record<string, unknown> = {}): Decision {
    return new Decision([], reason ?? null, context);
  }

  /** The step's result; reason and context are kept beside the choice. */
  toResult(): Record<string, unknown> {
    const outcome: JsonObject = this.steps.length
      ? { type: "create_steps", step_names: [...new Set(this.steps)] }
      : { type: "no_branches" };
    return { [DECISION_KEY]: outcome, reason: this.reason, routing_context: this.context };
  }
}
