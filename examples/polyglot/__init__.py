"""One workflow, whose steps run in Python and in TypeScript."""
