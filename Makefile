# `make help` lists the targets. All they need is Rust, Go 1.26 or newer, a C compiler and make.

.DEFAULT_GOAL := help

# What is built once and used by every checkout: control-plane programs and linters.
CACHE := $(or $(ECR_REFRESHER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ecr-refresher)
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo/bin/cargo-deny

# The image, and the one binary in it: static, for this machine's architecture.
IMAGE ?= ecr-refresher:dev
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
ARCH := $(subst aarch64,arm64,$(subst x86_64,amd64,$(shell uname -m)))
MUSL := $(subst arm64,aarch64,$(subst amd64,x86_64,$(ARCH)))-unknown-linux-musl
# Whose certificates the image trusts: those that this machine does.
CA_BUNDLE ?= /etc/ssl/certs/ca-certificates.crt
TOOLS := cargo run --locked --quiet --package ecr-refresher-tests --bin tools --
HELM_DOCS := go run github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2 --log-level warning --chart-search-root helm/ecr-refresher \
	--template-files ../../docs/values.md.gotmpl --sort-values-order file

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Show the daemon at work on a local control plane
	@echo "Building the demo: about 3 minutes the first time. It then says what else it needs and how long that takes."
	cargo run --locked --quiet --package ecr-refresher-tests --bin demo

.PHONY: test
test: ## Run all tests
	@echo "The first time, building the tests takes about 8 minutes, and the programs that they run about 15."
	$(TOOLS) build
	cargo test --locked --workspace --exclude ecr-refresher-simulation
	cargo test $(SIMULATION)

.PHONY: test-fast
test-fast: ## Run the unit tests alone, without Go
	cargo test --locked $(UNITS)

.PHONY: test-end-to-end
test-end-to-end: ## Run the daemon on a local control plane and nodes
	$(TOOLS) build
	cargo test --locked --workspace $(patsubst --package,--exclude,$(UNITS)) --exclude ecr-refresher-simulation

UNITS := --package ecr-refresher-core --package ecr-refresher-sync --package ecr-refresher

.PHONY: test-simulation
test-simulation: ## Run the tests of the simulation alone
	cargo test $(SIMULATION)

# Apart from the rest: it plants bugs in the product, is optimised, and gives tokio a seed.
SIMULATION := --locked --profile simulation --package ecr-refresher-simulation --config 'build.rustflags=["--cfg","tokio_unstable"]'

.PHONY: simulate
simulate: ## Run random histories of the whole daemon: SEEDS=20000 for as many, SEED=7 for all of one
	cargo run --quiet $(SIMULATION) --bin simulate -- $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000))

.PHONY: planted
planted: ## Plant bugs in the daemon, and count the histories that it takes to find each
	cargo run --quiet $(SIMULATION) --bin simulate -- --plant --seeds $(or $(SEEDS),600)

.PHONY: soak
soak: ## Run two replicas under random faults: SOAK=2m for how long, SOAK_SEED=7 to replay
	@echo "Building the soak: about 3 minutes the first time."
	cargo run --locked --quiet --package ecr-refresher-tests --bin soak

.PHONY: lint
lint: $(CARGO_DENY) ## Check format, lints, docs, dependencies and the chart
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
	$(CARGO_DENY) --locked check bans licenses sources
	helm=$$($(TOOLS) path helm) && for values in helm/ecr-refresher/ci/*-values.yaml; do \
		$$helm lint --strict --quiet helm/ecr-refresher --values $$values || exit 1; done
	$(HELM_DOCS) --dry-run | diff docs/values.md - || { echo "docs/values.md is out of date: run \`make values\`"; exit 1; }

.PHONY: values
values: ## Write docs/values.md out of the chart's comments
	$(HELM_DOCS) --output-file ../../docs/values.md

.PHONY: advisories
advisories: $(CARGO_DENY) ## Look for known vulnerabilities (asks github.com)
	$(CARGO_DENY) --locked check advisories

# The benchmark of whole clusters, as an optimised build of it and of the daemon.
SCALE := cargo run --locked --release --package ecr-refresher-benches --bin scale --

.PHONY: bench
bench: ## Measure the daemon in clusters of up to 50,000 namespaces
	@echo "This takes up to an hour, and is worth little on a machine that does anything else."
	status=0; for shape in sizes many hostile; do $(SCALE) --shape $$shape --output docs/benchmarks || status=1; done; exit $$status

.PHONY: bench-check
bench-check: ## Measure it at 1,000 namespaces, against bounds for a busy machine
	$(SCALE) --check

.PHONY: bench-index
bench-index: ## Measure the index alone
	cargo bench --locked --package ecr-refresher-benches

.PHONY: binary
binary: ## Build the static binary, optimised, into dist: about 10 minutes
	@rustup target list --installed | grep -qx $(MUSL) || rustup target add $(MUSL)
	@command -v musl-gcc >/dev/null || { echo "there is no musl-gcc here: install it, on Debian with \`apt-get install musl-tools\`" >&2; exit 1; }
	CC_$(subst -,_,$(MUSL))=musl-gcc cargo $(if $(shell command -v cargo-auditable),auditable) build \
		--locked --release --package ecr-refresher --target $(MUSL)
	install -D -m 755 -t dist/$(ARCH) $(or $(CARGO_TARGET_DIR),target)/$(MUSL)/release/ecr-refresher

.PHONY: image
image: binary ## Build the image with docker, podman or buildah
	@test -r $(CA_BUNDLE) || { echo "there are no certificates at $(CA_BUNDLE): name a bundle in CA_BUNDLE" >&2; exit 1; }
	install -m 644 $(CA_BUNDLE) dist/ca-certificates.crt
	@for builder in docker podman buildah; do \
		if $$builder info >/dev/null 2>&1; then \
			echo "Building $(IMAGE) with $$builder."; \
			exec $$builder build --tag $(IMAGE) --build-arg TARGETARCH=$(ARCH) \
				--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .; \
		fi; \
	done; \
	echo "neither docker nor podman nor buildah works here: install one of them, on Debian with \`apt-get install buildah\`" >&2; \
	exit 1

.PHONY: schema
schema: ## Write the JSON Schema of the config file, also into that of the chart's values
	schema="$$(cargo run --locked --quiet --package ecr-refresher -- schema)" && \
		printf '%s\n' "$$schema" >config/schema.json
	cargo run --locked --quiet --package ecr-refresher-tests --bin chart-schema

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

$(CARGO_DENY):
	@echo "Building cargo-deny $(CARGO_DENY_VERSION), once: about 5 minutes."
	cargo install --locked --quiet --root $(CACHE)/cargo cargo-deny@$(CARGO_DENY_VERSION)
