# Two commands matter: `make demo` and `make test`. Both do all the set-up by themselves.
PYTHON ?= python3
DEMO_PORT ?= 8000
BIN := .venv/bin

.PHONY: demo example test nightly lint fmt bench docs clean test-python test-js test-browser build chromium postgresql

demo: .make/web  ## The gift list on http://127.0.0.1:8000
	@$(BIN)/tidings run gift_list.main:app --app-dir examples/gift-list --port $(DEMO_PORT)

example: .make/web  ## One of the others: make example NAME=express
	@npm run --silent build -w gift-list-$(NAME)
	@PATH="$(CURDIR)/$(BIN):$$PATH" GIFT_LIST_PORT=$(DEMO_PORT) examples/gift-list-$(NAME)/start

test: lint test-python test-js test-browser  ## Every suite

nightly: test  ## What takes longer than a run of `make test` may
	$(BIN)/pytest -m nightly

lint: .make/python .make/node .make/js  ## Style, types, and the floors of the house, in both languages
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo
	npm run --silent lint -ws --if-present

fmt: .make/python .make/node  ## Format both languages
	$(BIN)/ruff format . && $(BIN)/ruff check --fix --exit-zero .
	npm run --silent format -ws --if-present

docs: .make/python .make/web chromium  ## Write the generated pages and pictures anew
	$(BIN)/python tools/generate_codes.py && $(BIN)/python tools/generate_settings.py
	$(BIN)/python -m tools.screenshots

test-python: .make/python .make/js postgresql
	$(BIN)/pytest -n 4 --dist loadfile -m "not browser and not nightly"

test-js: .make/js
	npm run --silent test -w js -w gift-list-web

test-browser: .make/python .make/web chromium
	$(BIN)/pytest -m "browser and not nightly"

build: .make/web

postgresql:
	@tools/ensure_postgresql

chromium:
	@tools/ensure_chromium

# Stamps: each set-up step runs again only when what it reads has changed.
.make/python: requirements-dev.txt pyproject.toml
	@tools/make_venv $(PYTHON)
	@mkdir -p .make && touch $@

.venv: .make/python

.make/node: package-lock.json package.json js/package.json $(wildcard examples/*/package.json examples/*/web/package.json)
	npm ci --no-fund --no-audit --loglevel=error
	@mkdir -p .make && touch $@

.make/js: .make/node $(shell find js/src js/package.json js/tsconfig*.json -type f 2>/dev/null)
	npm run --silent build -w js
	@mkdir -p .make && touch $@

.make/web: .make/js .make/python $(shell find examples/gift-list/web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
	npm run --silent build -w gift-list-web
	@mkdir -p .make && touch $@

bench: .make/python postgresql  ## Beside its peers, some minutes; an hour with BENCH=--full
	$(BIN)/python bench/fanout.py
	$(BIN)/python bench/sqlite.py
	$(BIN)/python -m bench.outbox
	$(BIN)/python -m bench $(BENCH)

clean:
	rm -rf .venv .make node_modules js/dist examples/gift-list/web/dist
