/*
 * From how a call ended to the error that its step fails with, and whether another try can help.
 *
 * A status retries where the same request may be answered otherwise in a while: 408, 423, 425, 429, and every 5xx but 501
 * and 505. All others that the handler does not accept are permanent. What broke on the way is retried. A 5xx that
 * retries, a timeout and a failed connection are failures of the system itself: its breaker counts them.
 */
import { cleanText, ERROR_CODE_BYTES_MAX } from "./failures.js";
import {
  AuthenticationError,
  AuthorizationError,
  NetworkError,
  NotFoundError,
  PermanentError,
  RateLimitError,
  RetryableError,
  ServiceUnavailableError,
  StepError,
  StepTimeoutError,
  type StepErrorOptions,
} from "./step-errors.js";

const EXCERPT_BYTES_MAX = 2048;
const RETRIED: ReadonlySet<number> = new Set([408, 423, 425, 429]);
const NEVER_RETRIED: ReadonlySet<number> = new Set([501, 505]);
const REQUEST_ID_HEADERS = ["x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id", "cf-ray"];
const KINDS: Readonly<Record<number, new (message: string, options?: StepErrorOptions) => StepError>> = {
  401: AuthenticationError,
  403: AuthorizationError,
  404: NotFoundError,
  408: StepTimeoutError,
  410: NotFoundError,
  429: RateLimitError,
  502: ServiceUnavailableError,
  503: ServiceUnavailableError,
  504: StepTimeoutError,
};

/** True for a status after which the same request may be answered otherwise in a while. */
export function isRetried(status: number): boolean {
  return RETRIED.has(status) || (status >= 500 && status < 600 && !NEVER_RETRIED.has(status));
}

/** The error for a response that the handler does not accept; its code is `HTTP_<status>`. */
export function statusError(
  status: number,
  headers: Headers,
  excerpt: string,
  { method, url, retried }: { method: string; url: URL; retried: ReadonlySet<number> },
): StepError {
  const retries = isRetried(status) || retried.has(status);
  const metadata: Record<string, unknown> = { method, url: shownUrl(url), status, response: cleanExcerpt(excerpt) };
  for (const name of REQUEST_ID_HEADERS) {
    const value = headers.get(name);
    if (value !== null) metadata[name] = cleanText(value, 200);
  }
  const wish = headers.get("retry-after");
  const after = wish === null || !retries ? null : retryAfterS(wish, headers.get("date"));
  if (wish !== null && retries && after === null) {
    metadata["retry_after_ignored"] = cleanText(wish, ERROR_CODE_BYTES_MAX);
  }
  let advice = "";
  if (status >= 300 && status < 400) {
    metadata["location"] = cleanText(headers.get("location") ?? "", 500);
    advice = "; redirects are followed if the handler says followsRedirects, a few at most, no write by 301 or 302";
  }
  const kind = KINDS[status] ?? (retries ? RetryableError : PermanentError);
  return new kind(`${method} ${shownUrl(url)} answered ${status}${advice}`, {
    retryable: retries,
    errorCode: `HTTP_${status}`,
    retryAfter: after ?? undefined,
    metadata,
    isDependencyFailure: status >= 500 && retries,
  });
}

/** The error for a call that got no whole response. Its words come without the URL's query. */
export function transportError(error: unknown, method: string, url: URL, timeoutS: number): StepError {
  if (error instanceof StepError) return error;
  const target = `${method} ${shownUrl(url)}`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const name = cause instanceof Error ? cause.name : typeof cause;
  const metadata = { method, url: shownUrl(url), exception: name };
  if (error instanceof DOMException && error.name === "TimeoutError") {
    const message = `${target} had no whole answer within ${Number(timeoutS.toFixed(3))} s`;
    return new StepTimeoutError(message, { errorCode: "HTTP_TIMEOUT", metadata, isDependencyFailure: true });
  }
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const why = code || (cause instanceof Error ? cause.message : String(cause));
  if (code.startsWith("ERR_INVALID") || code === "UND_ERR_INVALID_ARG") {
    return new PermanentError(`${target} cannot be sent: ${why}`, { errorCode: "INVALID_REQUEST", metadata });
  }
  return new NetworkError(`${target} failed: ${why}`, { errorCode: "HTTP_CONNECTION", metadata });
}

/**
 * Seconds that a Retry-After header asks for (a number, or a date); null where it says neither or nothing to come.
 *
 * A date is held against the server's own `date`, so that its clock may be wrong, else against ours. Zero or a time gone
 * by is no wish: the step's own backoff is kinder to the server.
 */
export function retryAfterS(wish: string, date: string | null = null): number | null {
  const text = wish.trim();
  let seconds = /^\d+(\.\d*)?$|^\.\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isNaN(seconds) && /[a-z]/i.test(text)) {
    const now = date === null ? NaN : Date.parse(date);
    seconds = (Date.parse(text) - (Number.isNaN(now) ? Date.now() : now)) / 1000;
  }
  return seconds > 0 && Number.isFinite(seconds) ? Math.ceil(seconds) : null;
}

/** The URL for messages and records: without credentials, query and fragment, which hold secrets. */
export function shownUrl(url: URL): string {
  const shown = `${url.protocol}//${url.host}${url.pathname}`;
  return shown.length <= 500 ? shown : `${shown.slice(0, 499)}…`;
}

/** The beginning and end of a response for the record: printable, 2 kB at most. */
export function cleanExcerpt(text: string): string {
  return cleanText(text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cn}]/gu, "\uFFFD"), EXCERPT_BYTES_MAX);
}
