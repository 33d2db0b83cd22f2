/** What an error of a step says beside its message. */
export interface StepErrorOptions {
  /** Your own word for programs, such as `CARD_DECLINED`. */
  errorCode?: string | undefined;
  /** Not before so many seconds; of errors that are tried again. */
  retryAfter?: number | undefined;
  /** Kept with the attempt; any JSON, 8 kB at most. */
  metadata?: Record<string, unknown> | undefined;
  /** Overrules the class. */
  retryable?: boolean | undefined;
  /** The system that the step depends on is down: its breaker counts it. */
  isDependencyFailure?: boolean | undefined;
  /** What caused it; its stack is kept. */
  cause?: unknown;
}

/** A handler failed. Throw a `PermanentError` or a `RetryableError`, or one of their children. */
export class StepError extends Error {
  /** Which family it belongs to, in the words of the engine. */
  readonly errorType: string = "handler_error";
  readonly errorCode: string | undefined;
  readonly retryAfter: number | undefined;
  readonly metadata: Record<string, unknown>;
  readonly retryable: boolean;
  readonly isDependencyFailure: boolean;

  constructor(message: string, options: StepErrorOptions = {}, retryable = true, isDependencyFailure = false) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.errorCode = options.errorCode;
    this.retryAfter = options.retryAfter;
    this.metadata = options.metadata ?? {};
    this.retryable = options.retryable ?? retryable;
    this.isDependencyFailure = options.isDependencyFailure ?? isDependencyFailure;
  }
}

/** It failed for a passing reason: the step is tried again, within its limit. */
export class RetryableError extends StepError {
  override readonly errorType: string = "retryable_error";
}

/** Trying again cannot help: the step ends in `error` at once. */
export class PermanentError extends StepError {
  override readonly errorType: string = "permanent_error";

  constructor(message: string, options: StepErrorOptions = {}) {
    super(message, options, false);
  }
}

/** The step, or what it called, took too long. */
export class StepTimeoutError extends RetryableError {
  override readonly errorType = "timeout";
}

/** The network failed. The breaker of the system that the step depends on counts it. */
export class NetworkError extends RetryableError {
  constructor(message: string, options: StepErrorOptions = {}) {
    super(message, options, true, true);
  }
}

/** A service asks for fewer calls. */
export class RateLimitError extends RetryableError {}

/** A service is down for now. The breaker of the system that the step depends on counts it. */
export class ServiceUnavailableError extends RetryableError {
  constructor(message: string, options: StepErrorOptions = {}) {
    super(message, options, true, true);
  }
}

/** Something that the step needs is in use. */
export class ResourceContentionError extends RetryableError {}

/** The step's input, or its result, is not valid. */
export class StepValidationError extends PermanentError {
  override readonly errorType: string = "validation_error";
}

/** The step's result is larger than the server's setting allows. */
export class ResultTooLarge extends StepValidationError {
  override readonly errorType = "payload_too_large";
}

/** What the step needs does not exist. */
export class NotFoundError extends PermanentError {}

/** The step's credentials were not accepted. */
export class AuthenticationError extends PermanentError {}

/** The step may not do this. */
export class AuthorizationError extends PermanentError {}

/** The step is not configured rightly. */
export class ConfigurationError extends PermanentError {}

/** A rule of the business forbids it. */
export class BusinessLogicError extends PermanentError {}
