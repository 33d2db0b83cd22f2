/* HTTP calls of a step: what goes out, where it may go, and what an answer means. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiHandler, apiHandler, InvalidHandler, StepContext, StepError } from "tasker-sdk";
import { isRetried, retryAfterS } from "../dist/api-errors.js";
import { bodyOf, serving, TASK } from "./gateway.js";
const context = (fields = {}) => new StepContext({ taskUuid: TASK, stepName: "pay", correlationId: TASK, ...fields });
/** Calls made by a handler whose base URL is that of a server. */
async function calling(handle, use, options = {}) {
    return serving(handle, async (url) => {
        const handler = apiHandler("x", { baseUrl: `${url}/v1`, ...options }, ({ api }) => use(api, url));
        return (await handler.run(context()));
    });
}
const failure = async (call) => {
    const error = await call.then(() => null, (thrown) => thrown);
    assert.ok(error instanceof StepError, String(error));
    return error;
};
test("a status says whether the step is tried again, and when", async () => {
    const retried = [408, 423, 425, 429, 500, 502, 503, 504, 599];
    const permanent = [400, 401, 403, 404, 409, 410, 422, 501, 505];
    for (const status of retried)
        assert.ok(isRetried(status), String(status));
    for (const status of permanent)
        assert.ok(!isRetried(status), String(status));
    const error = await calling((_, response) => response.writeHead(429, { "retry-after": "3", "x-request-id": "r1" }).end("slow\u0007ly"), (api) => failure(api.get("/x?secret=1")));
    assert.deepEqual([error.name, error.errorCode, error.retryAfter, error.retryable], ["RateLimitError", "HTTP_429", 3, true]);
    assert.deepEqual([error.metadata["x-request-id"], error.metadata["response"]], ["r1", "slow\uFFFDly"]);
    assert.ok(!JSON.stringify([error.metadata, error.message]).includes("secret"));
    const gone = await calling((_, response) => response.writeHead(404).end(), (api) => failure(api.get("/x")));
    assert.deepEqual([gone.name, gone.retryable, gone.isDependencyFailure], ["NotFoundError", false, false]);
    const down = await calling((_, response) => response.writeHead(503).end(), (api) => failure(api.get("/x")));
    assert.deepEqual([down.name, down.retryable, down.isDependencyFailure], ["ServiceUnavailableError", true, true]);
});
test("handlers may accept and retry further statuses, and look at any response", async () => {
    const handle = (request, response) => response.writeHead(Number(request.url.split("/").at(-1))).end("{}");
    const options = { acceptedStatuses: [404], retriedStatuses: [409] };
    await calling(handle, async (api) => {
        assert.equal((await api.get("404")).status, 404);
        assert.equal((await failure(api.get("409"))).retryable, true);
        assert.equal((await api.get("500", { check: false })).status, 500);
    }, options);
});
test("Retry-After is seconds or a date, held against the server's clock", () => {
    assert.deepEqual(["7", "1.2", "0", "-3", "soon", ""].map((wish) => retryAfterS(wish)), [7, 2, null, null, null, null]);
    const date = "Sat, 01 Jan 2000 00:00:00 GMT";
    assert.equal(retryAfterS("Sat, 01 Jan 2000 00:01:00 GMT", date), 60);
    assert.equal(retryAfterS(date), null);
});
test("writes carry the step's idempotency key, all calls its trace, and the handler's headers its own host", async () => {
    const seen = [];
    const bodies = [];
    const handle = async (request, response) => {
        seen.push(request);
        bodies.push(await bodyOf(request));
        response.end('{"ok": true}');
    };
    await calling(handle, async (api) => {
        assert.deepEqual((await api.post("/a", { json: { n: 1 }, params: { q: "ü" } })).json(), { ok: true });
        await api.post("/a", { json: { n: 1 }, params: { q: "ü" } });
        await api.delete("/b", { part: "undo" });
        await api.get("/c");
        assert.equal((await failure(api.post("/a", { json: { n: 2 } }))).errorCode, "IDEMPOTENCY_KEY_REUSED");
        assert.equal((await failure(api.put("/a", { json: { n: NaN }, part: "p" }))).errorCode, "INVALID_REQUEST");
    }, { headers: { authorization: "Bearer k" } });
    const keys = seen.map((request) => request.headers["idempotency-key"]);
    assert.deepEqual(keys, [`${TASK}:pay`, `${TASK}:pay`, `${TASK}:pay/undo`, undefined]);
    assert.equal(seen[0].url, "/v1/a?q=%C3%BC");
    assert.equal(bodies[0], '{"n":1}');
    assert.match(String(seen[3].headers["traceparent"]), new RegExp(`^00-${TASK.replaceAll("-", "")}-[0-9a-f]{16}-01$`));
    assert.ok(seen.every((request) => request.headers["authorization"] === "Bearer k"));
});
test("a URL from data reaches the handler's own hosts alone, and a path never leaves the base URL", async () => {
    const handle = (request, response) => response.end(JSON.stringify(request.headers));
    await serving(handle, (other) => calling(handle, async (api, url) => {
        assert.ok((await api.get(`${url}/elsewhere`)).isSuccess);
        const refused = await failure(api.get(`${other}/x`));
        assert.deepEqual([refused.errorCode, refused.retryable], ["EGRESS_REFUSED", false]);
        assert.equal((await failure(api.get("http://169.254.169.254/latest"))).errorCode, "EGRESS_REFUSED");
        for (const path of ["../x", "a/%2e%2e/x", "a/..%2f..", "//host/x", "%zz", "file:///etc/passwd"]) {
            assert.equal((await failure(api.get(path))).errorCode, "INVALID_URL", path);
        }
    }, { headers: { authorization: "k" } }));
    await serving(handle, async (other) => {
        const options = { headers: { authorization: "k" }, allowedHosts: [new URL(other).host] };
        await calling(handle, async (api) => {
            assert.equal((await api.get(`${other}/x`)).json().authorization, undefined);
        }, options);
    });
});
test("redirects are followed if the handler says so: no write by 302, and not to others", async () => {
    const handle = (request, response) => {
        const [, , status, ...rest] = request.url.split("/");
        if (status === "end")
            response.end(request.method);
        else if (status === "loop")
            response.writeHead(302, { location: "/v1/loop" }).end();
        else
            response.writeHead(Number(status), { location: rest.length ? rest.join("/") : "/v1/end" }).end();
    };
    await calling(handle, async (api) => assert.equal((await failure(api.get("302"))).errorCode, "HTTP_302"));
    await calling(handle, async (api) => {
        assert.equal((await api.get("302")).text, "GET");
        assert.equal((await api.post("307", { part: "a" })).text, "POST");
        assert.equal((await api.post("303", { part: "b" })).text, "GET");
        assert.equal((await failure(api.post("302", { part: "c" }))).errorCode, "HTTP_302");
        assert.equal((await failure(api.get("302/http://10.0.0.1/x"))).errorCode, "EGRESS_REFUSED");
        assert.equal((await failure(api.get("loop"))).errorCode, "HTTP_302");
    }, { followsRedirects: true });
});
test("what breaks on the way is tried again; what is too large or no JSON says so", async () => {
    const handle = (request, response) => {
        if (request.url.endsWith("cut"))
            request.socket.destroy();
        else if (request.url.endsWith("half"))
            response.writeHead(200, { "content-length": "100" }).write("x", () => request.socket.destroy());
        else if (request.url.endsWith("large"))
            response.end("x".repeat(2000));
        else if (!request.url.endsWith("never"))
            response.end("<html>");
    };
    await calling(handle, async (api) => {
        for (const path of ["cut", "half"]) {
            const cut = await failure(api.get(path));
            assert.deepEqual([cut.errorCode, cut.retryable, cut.isDependencyFailure], ["HTTP_CONNECTION", true, true], path);
        }
        assert.equal((await failure(api.get("never", { timeoutS: 0.05 }))).errorCode, "HTTP_TIMEOUT");
        assert.equal((await failure(api.get("large"))).errorCode, "RESPONSE_TOO_LARGE");
        const page = await api.get("page");
        assert.throws(() => page.json(), (error) => error.errorCode === "INVALID_RESPONSE" && error.retryable);
    }, { responseBytesMax: 1000 });
});
test("a class has the same calls, and what it says wrongly is refused when it is registered", async () => {
    await serving((_, response) => void response.end('{"n": 1}'), async (url) => {
        class Find extends ApiHandler {
            static handlerName = "find";
            static options = { baseUrl: url };
            async call(given) {
                return (await this.api(given).get("/x")).json();
            }
        }
        assert.deepEqual(await new Find().call(context()), { n: 1 });
    });
    const wrong = [{ baseUrl: "ftp://x" }, { timeoutS: 0 }, { allowedHosts: ["http://x"] }];
    for (const options of [...wrong, { acceptedStatuses: [409], retriedStatuses: [409] }]) {
        assert.throws(() => apiHandler("x", options, () => 1), InvalidHandler);
    }
});
