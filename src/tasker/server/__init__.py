"""Tasker over the network. Every way in is a thin face on `tasker.operations`."""
