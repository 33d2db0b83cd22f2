/** What JSON holds. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A JSON object. */
export type JsonObject = { [key: string]: Json };

/** How deep a result may be nested; the server reads 120 levels, those of the request included. */
const DEPTH_MAX = 100;

/**
 * The same value as a fresh copy of nothing but JSON's own types.
 *
 * Dates become text, Maps objects, Sets lists, bigints text (a number would lose digits), objects with `toJSON` what
 * that says. A field that is undefined is left out, as JSON.stringify does.
 *
 * @throws Error that names the path of what JSON, or PostgreSQL, cannot keep.
 */
export function plainJson(value: unknown, path = "$", depth = 0): Json {
  if (depth > DEPTH_MAX) throw new Error(`${path} lies more than ${DEPTH_MAX} levels deep, or contains itself`);
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      return plainText(value, path);
    case "number":
      if (!Number.isFinite(value)) throw new Error(`${path} is ${value}, which JSON does not have: return null`);
      return value;
    case "bigint":
      return value.toString();
    case "undefined":
      return null;
    case "object":
      return value === null ? null : plainObject(value, path, depth);
    default:
      throw new Error(`${path} is a ${typeof value}, which has no form in JSON`);
  }
}

function plainText(text: string, path: string): string {
  if (text.includes("\0")) throw new Error(`${path} has a NUL character, which PostgreSQL cannot keep: remove it`);
  if (!isWellFormed(text)) throw new Error(`${path} has a lone surrogate, which is not text: replace it`);
  return text;
}

/** True for text without lone surrogates. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

function plainObject(value: object, path: string, depth: number): Json {
  if (Array.isArray(value)) return value.map((item, index) => plainJson(item, `${path}[${index}]`, depth + 1));
  if (value instanceof Set) return plainJson([...value], path, depth + 1);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    throw new Error(`${path} is bytes, which JSON does not have: encode it as base64 text`);
  }
  if (value instanceof Promise) throw new Error(`${path} is a Promise: await it`);
  if ("toJSON" in value && typeof value.toJSON === "function") return plainJson(value.toJSON(), path, depth + 1);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const plain: JsonObject = {};
  for (const [key, item] of entries) {
    if (item === undefined) continue;
    const name = plainText(String(key), `${path} (a key)`);
    // A plain assignment to "__proto__" would change the object's kind and lose the field.
    Object.defineProperty(plain, name, {
      value: plainJson(item, `${path}.${name}`, depth + 1),
      ...{ enumerable: true, writable: true, configurable: true },
    });
  }
  return plain;
}

/** True for a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
