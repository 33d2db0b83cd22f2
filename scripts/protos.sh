#!/bin/sh
# Compiles the .proto files to the descriptors that the server and its clients read: after every change of one. They are
# committed, so that no other machine needs a compiler; a test says when they are out of date.
set -eu
cd "$(dirname "$0")/../src/tasker/proto"
"${PYTHON:-../../../.venv/bin/python}" -m grpc_tools.protoc -I . --include_imports \
    --descriptor_set_out=descriptors.binpb tasker/v1/*.proto tasker/gateway/v1/*.proto
