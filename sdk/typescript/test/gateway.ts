/* A gateway whose answers a test decides, call by call. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Worker, type HandlerSource, type Logger, type WorkerOptions } from "tasker-sdk";

export type Said = Record<string, any>;
/** Answers a call: an object is a 200, a number another status, null is a connection that is cut. */
export type Answer = (said: Said) => Said | number | null | Promise<Said | number | null>;

export const TASK = "0198c0de-0000-7000-8000-0000000000aa";
export const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const NOTHING = { grants: [], contexts: [], results: [], items: [], verdicts: [], gone: [], ended: [] };

/** A grant of the first attempt of a step of template 1. */
export function grant(number: number, more: Said = {}): Said {
  const fields = { attempt: 1, tries: 0, template_id: 1, is_alone: false, is_unchecked: false };
  return { task_uuid: TASK, number, ...fields, ...more };
}

/** What is missing in an answer to a turn. */
export function turn(answer: Said): Said {
  return { session_ended: false, superseded: false, ...NOTHING, ...answer };
}

/** Serves HTTP on loopback while `use` runs. */
export async function serving<T>(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const server: Server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** A gateway with one template, of steps `a`, `b` after it, and whatever `steps` says instead. */
export class Gateway {
  /** What was asked, in order. */
  readonly calls: { what: string; said: Said }[] = [];
  onTurn: Answer = () => turn({});
  onBeat: Answer = () => ({ session_ended: false, gone: [] });
  onLoad: Answer = () => ({});
  onCheckpoints: Answer = ({ checkpoints }) => ({
    verdicts: checkpoints.map((one: Said) => ({ ...one, verdict: "recorded" })),
  });
  steps: Said[] = [
    { name: "a", handler: { callable: "a" } },
    { name: "b", handler: { callable: "b" }, dependencies: ["a"] },
  ];

  /** Those that report outcomes. */
  get outcomes(): Said[] {
    return this.calls.filter(({ what }) => what === "turn").flatMap(({ said }) => said["outcomes"]);
  }

  /** What was asked of one kind. */
  asked(what: string): Said[] {
    return this.calls.filter((one) => one.what === what).map(({ said }) => said);
  }

  readonly handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const what = request.url!.split("/")[5] ?? "open";
    const said = JSON.parse((await bodyOf(request)) || "{}");
    this.calls.push({ what, said });
    const answer = await this.#answer(what, said);
    if (answer === null) {
      request.socket.destroy();
      return;
    }
    const status = typeof answer === "number" ? answer : 200;
    const kind = { 404: "not_found", 409: "turn_superseded", 413: "request_too_large" }[status] ?? "server_fault";
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(status === 200 ? answer : { error: { kind, message: "as the test wants it" } }));
  };

  #answer(what: string, said: Said): ReturnType<Answer> {
    if (what === "open") {
      const limits = { result_bytes_max: 10_000, checkpoint_bytes_max: 1000, request_bytes_max: 100_000 };
      return { session_uuid: said["session_uuid"], lease_s: 5, beat_s: 0.05, wait_s_max: 0.05, ...limits, serving: [] };
    }
    if (what === "turn") return this.onTurn(said);
    if (what === "beat") return this.onBeat(said);
    if (what === "checkpoints") return this.onCheckpoints(said);
    return what === "load" ? this.#load(said) : { released: 0 };
  }

  async #load(said: Said): Promise<Said | number> {
    const definition = { namespace_name: "n", name: "t", version: "1", steps: this.steps };
    const found = await this.onLoad(said);
    if (typeof found === "number" || found === null) return found ?? 500;
    const templates = (said["templates"] ?? []).map((template_id: number) => ({ template_id, definition }));
    const contexts = (said["contexts"] ?? []).map((task_uuid: string) => ({ task_uuid, correlation_id: null, context: {} }));
    return { contexts, results: [], items: [], members: [], checkpoints: [], templates, ...found };
  }

  /** Runs a worker against it until `use` is done. */
  async run(handlers: HandlerSource, use: (worker: Worker) => Promise<void>, options: Partial<WorkerOptions> = {}) {
    await serving(
      (request, response) => void this.handle(request, response),
      async (url) => {
        const worker = new Worker({ url, handlers, logger: SILENT, drainS: 0, ...options });
        await worker.start();
        try {
          await use(worker);
        } finally {
          await worker.stop();
        }
      },
    );
  }
}

/** The first true value of a condition, asked every few milliseconds. Throws after a minute. */
export async function until<T>(condition: () => T | undefined | false | null, what = "the condition holds"): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`not within a minute: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
