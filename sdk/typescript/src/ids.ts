import { createHash, randomBytes } from "node:crypto";

/** From this number on steps are members of batches: the batch's number times this, and their index in it. */
export const FIRST_MEMBER = 65_536;

let lastMs = 0;
let counter = 0;

/** A new UUID of version 7, greater than every one made before in this process. */
export function uuid7(): string {
  const now = Date.now();
  if (now > lastMs) [lastMs, counter] = [now, 0];
  else if (++counter > 0xfff) [lastMs, counter] = [lastMs + 1, 0];
  const bytes = randomBytes(16);
  bytes.writeUIntBE(lastMs, 0, 6);
  bytes.writeUInt16BE(0x7000 | counter, 6);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return asText(bytes);
}

/** The public id of a task's step, derived from both; always the same. */
export function stepUuid(taskUuid: string, number: number): string {
  const task = Buffer.from(taskUuid.replaceAll("-", ""), "hex");
  const numbered = Buffer.alloc(4);
  numbered.writeUInt32BE(number);
  const digest = createHash("sha256").update(task).update(numbered).digest();
  const bytes = Buffer.concat([task.subarray(0, 8), digest.subarray(0, 8)]);
  bytes[6] = 0x80 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return asText(bytes);
}

/** The number under which a template has this step: of a member that of its batch. */
export function planNumber(number: number): number {
  return number < FIRST_MEMBER ? number : Math.floor(number / FIRST_MEMBER);
}

function asText(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
