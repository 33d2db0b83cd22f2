/** The SDK of Tasker for TypeScript: handlers, a worker, and a client. */
export { ApiResponse, type Api, type ApiOptions, type CallOptions } from "./api.js";
export type { Step, StepReadiness, Task, TaskData, TaskPage, TaskWhy, Update } from "./answers.js";
export { Batch, Batches, BatchResults, MemberResults, type BatchesOptions, type Member } from "./batch.js";
export { Client, type ActOptions, type ClientOptions, type NewTask, type TaskFilter } from "./client.js";
export {
  checkpoint,
  Checkpoint,
  StepContext,
  type CheckpointOptions,
  type CheckpointState,
  type ContextFields,
} from "./context.js";
export { Decision } from "./decision.js";
export * from "./errors.js";
export type { CheckSchema } from "./executor.js";
export {
  ApiHandler,
  apiHandler,
  batchableHandler,
  batchWorkerHandler,
  decisionHandler,
  StepHandler,
  stepHandler,
  type Declaration,
  type Given,
  type Handler,
  type HandlerClass,
  type Returned,
} from "./handlers.js";
export type { Json, JsonObject } from "./json.js";
export { jsonLogger, type Logger } from "./log.js";
export { Registry, type HandlerSource } from "./registry.js";
export type { ServerOptions } from "./server.js";
export * from "./step-errors.js";
export type { Counts } from "./turns.js";
export { Worker, type WorkerOptions } from "./worker.js";
