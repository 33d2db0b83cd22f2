"""A worker that reaches the engine through a server: RemoteWorker, and the way that it goes."""
