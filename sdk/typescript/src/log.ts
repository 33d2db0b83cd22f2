/** Where a worker says what happens to it. `about` names what it concerns. */
export interface Logger {
  debug(message: string, about?: Record<string, unknown>): void;
  info(message: string, about?: Record<string, unknown>): void;
  warn(message: string, about?: Record<string, unknown>): void;
  error(message: string, about?: Record<string, unknown>): void;
}

type Level = keyof Logger;
const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

/** One line of JSON on stderr for each message from this level on. */
export function jsonLogger(least: Level = "info"): Logger {
  const say =
    (level: Level) =>
    (message: string, about: Record<string, unknown> = {}): void => {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
      process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), level, message, ...about })}\n`);
    };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

/** The same logger, with this in all that it says. */
export function bound(logger: Logger, about: Record<string, unknown>): Logger {
  const say =
    (level: Level) =>
    (message: string, more?: Record<string, unknown>): void =>
      logger[level](message, { ...about, ...more });
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

/** What went wrong, in a line. */
export function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message || error.cause.name})` : "";
  return `${error.name}: ${error.message}${cause}`;
}
