# Everything a developer runs, by name. `make help` lists it.

SHELL := /bin/bash
# Where rustup puts cargo, for a shell that was opened before it was installed.
export PATH := $(HOME)/.cargo/bin:$(PATH)
.DEFAULT_GOAL := help

.PHONY: help setup setup-test run test lint check fmt bench clean-run

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what building needs (nothing to do: under a second)
	@scripts/setup

setup-test: setup ## install what only the tests need
	@scripts/setup-test

run: setup ## build, start the server with demo data, play the demonstration call, keep serving
	@scripts/run-demo

test: setup-test ## every test
	@scripts/test

lint: setup ## formatting, clippy and the API description: warnings are errors
	cargo fmt --check
	scripts/lint-openapi
	cargo clippy --all-targets --quiet -- --deny warnings

check: lint test ## what CI runs

fmt: ## format the Rust code
	cargo fmt

bench: setup-test ## Criterion benches, speech against its peer, calls, sentiment scores
	@scripts/bench

clean-run: ## forget the demo server's data
	rm -rf "$${PATCHCORD_DEMO_DATA:-$${PATCHCORD_CACHE:-$$HOME/.cache/patchcord}/demo}"
