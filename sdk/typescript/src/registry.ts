import { InvalidHandler } from "./errors.js";
import { handlersOfClass, StepHandler, type Handler, type HandlerClass } from "./handlers.js";

/** What may be given as handlers: handlers, classes, and modules or lists of them. */
export type HandlerSource = Handler | HandlerClass | Registry | Iterable<HandlerSource> | object;

/** The handlers of a process, by the names that templates use. */
export class Registry {
  readonly #handlers = new Map<string, Handler>();

  /**
   * Of each of these: a handler, a class, a list, another registry, or a module (`import * as shop`), of which whatever
   * is no handler is left aside.
   *
   * @throws InvalidHandler where two have one name, or nothing is found in one of them.
   */
  constructor(...sources: HandlerSource[]) {
    for (const source of sources) {
      if (this.#add(source) === 0) throw new InvalidHandler(`there is no handler in ${shown(source)}`);
    }
  }

  /** Adds a handler. Throws InvalidHandler where another one has its name. */
  register(handler: Handler | HandlerClass): void {
    for (const one of isClass(handler) ? handlersOfClass(handler) : [handler]) {
      const known = this.#handlers.get(one.name);
      if (known === one) continue;
      if (known !== undefined) throw new InvalidHandler(`there are two handlers with the name "${one.name}": rename one`);
      this.#handlers.set(one.name, one);
    }
  }

  /** True where there is such a handler. */
  isRegistered(name: string): boolean {
    return this.#handlers.has(name);
  }

  /** The handler of that name; null where there is none. */
  resolve(name: string): Handler | null {
    return this.#handlers.get(name) ?? null;
  }

  /** All handlers, in the order in which they came. */
  list(): Handler[] {
    return [...this.#handlers.values()];
  }

  /** How many handlers came from a source. */
  #add(source: unknown): number {
    if (isHandler(source) || isClass(source)) {
      this.register(source);
      return 1;
    }
    if (typeof source !== "object" || source === null) return 0;
    const parts: unknown[] = source instanceof Registry ? source.list() : iterable(source);
    return parts.reduce((count: number, one) => count + this.#add(one), 0);
  }
}

function iterable(source: object): unknown[] {
  return Symbol.iterator in source ? [...(source as Iterable<unknown>)] : exported(source);
}

/** What a module exports that is, by itself, a handler: its other objects are its own business. */
function exported(source: object): unknown[] {
  return Object.values(source).filter((one) => isHandler(one) || (isClass(one) && one.handlerName !== ""));
}

function isHandler(source: unknown): source is Handler {
  const one = source as Partial<Handler> | null;
  return typeof one === "object" && one !== null && typeof one.run === "function" && typeof one.name === "string";
}

function isClass(source: unknown): source is HandlerClass {
  return typeof source === "function" && source.prototype instanceof StepHandler;
}

function shown(source: unknown): string {
  return typeof source === "function" ? source.name : Object.prototype.toString.call(source);
}
