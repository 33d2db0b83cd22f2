"""Tasker inside other applications: FastAPI, Django, and whatever speaks ASGI. Each module needs its framework."""
