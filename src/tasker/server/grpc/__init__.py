"""The API over gRPC: the services of `tasker.v1`, thin on the operations, with health and reflection."""

from tasker.server.grpc.listening import GrpcServer as GrpcServer
from tasker.server.grpc.listening import Listening as Listening
