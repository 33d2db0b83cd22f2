# Every target sets up the local environment that it needs first (scripts/bootstrap.sh), once.
# The database of the shell's own application is none of Tasker's business: without these variables Tasker runs its own.
unexport DATABASE_URL TASKER_DATABASE_URL
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1  # it would ask the network for a newer one
SETUP := sh scripts/bootstrap.sh
BIN := .venv/bin

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo:  ## install into .venv, and watch a checkout fail, recover and complete
	@$(SETUP) run
	@$(BIN)/tasker demo

test:  ## install what the tests need, and run the fast ones
	@$(SETUP) test
	@$(BIN)/python -m pytest -q -n 2 -m "not slow"

check:  ## all that the continuous integration runs: lint, every test, both PostgreSQLs, the demo
	@$(SETUP) dev
	@sh scripts/check.sh

lint:  ## style, format and types, without changing a file
	@$(SETUP) dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format:  ## put the code into the one format
	@$(SETUP) dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench:  ## measure Tasker beside a bare engine on a PostgreSQL of its own (make bench-peers: beside the field, an hour)
	@$(SETUP) run
	@$(BIN)/tasker bench

bench-peers:  # of the verb `bench`; PEERS="--small" tries it out, see docs/benchmarks.md
	@$(SETUP) run
	@$(BIN)/python bench/peers/run.py $(PEERS)
	@case "$(PEERS)" in *--small* | *--install* | *--out*) ;; *) $(BIN)/python bench/peers/page.py ;; esac

chaos:  ## kill, cut and crash everything under random work, and check that nothing is lost (hours; see docs/chaos.md)
	@$(SETUP) dev
	@PYTHONPATH=tests $(BIN)/python -m chaos --json build/chaos.json $(CHAOS)

lock:  ## resolve the requirements again, with hashes
	@$(SETUP) dev
	@sh scripts/lock.sh $(BIN)/uv

clean:  ## remove the environment, the caches, and the data of the embedded PostgreSQL
	@sh scripts/clean.sh

.PHONY: help demo test check lint format bench bench-peers chaos lock clean
