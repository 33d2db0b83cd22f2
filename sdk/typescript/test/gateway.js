/* A gateway whose answers a test decides, call by call. */
import { createServer } from "node:http";
import { Worker } from "tasker-sdk";
export const TASK = "0198c0de-0000-7000-8000-0000000000aa";
export const SILENT = { debug: () => { }, info: () => { }, warn: () => { }, error: () => { } };
const NOTHING = { grants: [], contexts: [], results: [], items: [], verdicts: [], gone: [], ended: [] };
/** A grant of the first attempt of a step of template 1. */
export function grant(number, more = {}) {
    const fields = { attempt: 1, tries: 0, template_id: 1, is_alone: false, is_unchecked: false };
    return { task_uuid: TASK, number, ...fields, ...more };
}
/** What is missing in an answer to a turn. */
export function turn(answer) {
    return { session_ended: false, superseded: false, ...NOTHING, ...answer };
}
/** Serves HTTP on loopback while `use` runs. */
export async function serving(handle, use) {
    const server = createServer(handle);
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
        return await use(`http://127.0.0.1:${server.address().port}`);
    }
    finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
    }
}
export async function bodyOf(request) {
    const chunks = [];
    for await (const chunk of request)
        chunks.push(chunk);
    return Buffer.concat(chunks).toString();
}
/** A gateway with one template, of steps `a`, `b` after it, and whatever `steps` says instead. */
export class Gateway {
    /** What was asked, in order. */
    calls = [];
    onTurn = () => turn({});
    onBeat = () => ({ session_ended: false, gone: [] });
    onLoad = () => ({});
    onCheckpoints = ({ checkpoints }) => ({
        verdicts: checkpoints.map((one) => ({ ...one, verdict: "recorded" })),
    });
    steps = [
        { name: "a", handler: { callable: "a" } },
        { name: "b", handler: { callable: "b" }, dependencies: ["a"] },
    ];
    /** Those that report outcomes. */
    get outcomes() {
        return this.calls.filter(({ what }) => what === "turn").flatMap(({ said }) => said["outcomes"]);
    }
    /** What was asked of one kind. */
    asked(what) {
        return this.calls.filter((one) => one.what === what).map(({ said }) => said);
    }
    handle = async (request, response) => {
        const what = request.url.split("/")[5] ?? "open";
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
    #answer(what, said) {
        if (what === "open") {
            const limits = { result_bytes_max: 10_000, checkpoint_bytes_max: 1000, request_bytes_max: 100_000 };
            return { session_uuid: said["session_uuid"], lease_s: 5, beat_s: 0.05, wait_s_max: 0.05, ...limits, serving: [] };
        }
        if (what === "turn")
            return this.onTurn(said);
        if (what === "beat")
            return this.onBeat(said);
        if (what === "checkpoints")
            return this.onCheckpoints(said);
        return what === "load" ? this.#load(said) : { released: 0 };
    }
    async #load(said) {
        const definition = { namespace_name: "n", name: "t", version: "1", steps: this.steps };
        const found = await this.onLoad(said);
        if (typeof found === "number" || found === null)
            return found ?? 500;
        const templates = (said["templates"] ?? []).map((template_id) => ({ template_id, definition }));
        const contexts = (said["contexts"] ?? []).map((task_uuid) => ({ task_uuid, correlation_id: null, context: {} }));
        return { contexts, results: [], items: [], members: [], checkpoints: [], templates, ...found };
    }
    /** Runs a worker against it until `use` is done. */
    async run(handlers, use, options = {}) {
        await serving((request, response) => void this.handle(request, response), async (url) => {
            const worker = new Worker({ url, handlers, logger: SILENT, drainS: 0, ...options });
            await worker.start();
            try {
                await use(worker);
            }
            finally {
                await worker.stop();
            }
        });
    }
}
/** The first true value of a condition, asked every few milliseconds. Throws after 20 s. */
export async function until(condition, what = "the condition holds") {
    const deadline = performance.now() + 20_000;
    for (;;) {
        const value = condition();
        if (value)
            return value;
        if (performance.now() > deadline)
            throw new Error(`not within 20 s: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}
