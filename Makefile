# `make help` lists the targets. They need Rust, Go 1.26 or newer, a C compiler and make.

.DEFAULT_GOAL := help

# Control-plane programs and linters are built once here, and shared by all checkouts.
CACHE := $(or $(ECR_REFRESHER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ecr-refresher)
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/cargo/bin/cargo-deny

# The image holds one static binary for each architecture.
IMAGE ?= ecr-refresher:dev
ARCHES ?= amd64 arm64
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
ARCH := $(subst aarch64,arm64,$(subst x86_64,amd64,$(shell uname -m)))
rust_arch = $(subst arm64,aarch64,$(subst amd64,x86_64,$(1)))
TOOLS := cargo run --locked --quiet --package ecr-refresher-tests --bin tools --
HELM_DOCS := go run github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2 --log-level warning --chart-search-root helm/ecr-refresher \
	--template-files ../../docs/values.md.gotmpl --sort-values-order file

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Run a demo of the daemon on a local control plane
	@echo "Building the demo: about 3 minutes the first time. The demo then lists its other requirements and the time that they take."
	cargo run --locked --quiet --package ecr-refresher-tests --bin demo

.PHONY: test
test: ## Run all tests
	@echo "The first build takes about 8 minutes for the tests, and about 15 minutes for the programs that they run."
	$(TOOLS) build
	cargo test --locked --workspace --exclude ecr-refresher-simulation
	cargo test $(SIMULATION)

.PHONY: test-fast
test-fast: ## Run only the unit tests, without Go
	cargo test --locked $(UNITS)

.PHONY: fuzz
fuzz: ## Run the unit tests with generated inputs for long: CASES=100000 sets the number for each
	PROPTEST_CASES=$(or $(CASES),20000) cargo test --locked $(UNITS) --lib -- no_ globs_match what_is_accepted

.PHONY: test-end-to-end
test-end-to-end: ## Run the end-to-end tests on a local control plane and nodes
	$(TOOLS) build
	cargo test --locked --workspace $(patsubst --package,--exclude,$(UNITS)) --exclude ecr-refresher-simulation

UNITS := --package ecr-refresher-core --package ecr-refresher-sync --package ecr-refresher

.PHONY: test-simulation
test-simulation: ## Run only the tests of the simulation
	cargo test $(SIMULATION)

# Not part of the other builds: the simulation plants bugs in the product, is optimised, and seeds tokio.
SIMULATION := --locked --profile simulation --package ecr-refresher-simulation --config 'build.rustflags=["--cfg","tokio_unstable"]'

.PHONY: simulate
simulate: ## Run random histories of the whole daemon: SEEDS=20000 sets the number, SEED=7 shows one in full
	cargo run --quiet $(SIMULATION) --bin simulate -- $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000))

.PHONY: planted
planted: ## Plant bugs in the daemon, and count the histories until each is found
	cargo run --quiet $(SIMULATION) --bin simulate -- --plant --seeds $(or $(SEEDS),600)

.PHONY: soak
soak: ## Run two replicas under random faults: SOAK=2m sets the duration, SOAK_SEED=7 replays the order of the faults
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
values: ## Generate docs/values.md from the comments in values.yaml
	$(HELM_DOCS) --output-file ../../docs/values.md

.PHONY: advisories
advisories: $(CARGO_DENY) ## Check the dependencies for known vulnerabilities (needs github.com)
	$(CARGO_DENY) --locked check advisories

# The benchmark of whole clusters. The benchmark and the daemon are optimised builds.
SCALE := cargo run --locked --release --package ecr-refresher-benches --bin scale --

.PHONY: bench
bench: ## Measure the daemon in clusters of up to 50,000 namespaces
	@echo "This takes up to an hour. The results are only reliable on an otherwise idle machine."
	status=0; for shape in sizes many hostile; do $(SCALE) --shape $$shape --output docs/benchmarks || status=1; done; exit $$status

.PHONY: bench-check
bench-check: ## Measure the daemon at 1,000 namespaces, and check the results against limits for a busy machine
	$(SCALE) --check

.PHONY: bench-index
bench-index: ## Measure only the index
	cargo bench --locked --package ecr-refresher-benches

.PHONY: binary
binary: binary-$(ARCH) ## Build the optimised static binary in dist (about 10 minutes)

binary-%: TARGET = $(call rust_arch,$*)-unknown-linux-musl
binary-%: PACKAGES = $(if $(filter $(ARCH),$*),musl-tools,gcc-$(subst _,-,$(call rust_arch,$*))-linux-gnu libc6-dev-$*-cross)
binary-%: COMPILER = $(if $(filter $(ARCH),$*),musl-gcc,$(call rust_arch,$*)-linux-gnu-gcc)
binary-%:
	@rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)
	@command -v $(COMPILER) >/dev/null || { echo "$(COMPILER) is missing. Install it, on Debian with \`apt-get install $(PACKAGES)\`" >&2; exit 1; }
	ECR_REFRESHER_COMMIT=$$(git rev-parse --short HEAD) CC_$(subst -,_,$(TARGET))=$(COMPILER) \
		$(if $(filter $(ARCH),$*),,CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_LINKER=$(COMPILER)) \
		cargo $(if $(shell command -v cargo-auditable),auditable) build --locked --release --package ecr-refresher --target $(TARGET)
	install -D -m 755 -t dist/$* $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/release/ecr-refresher

.PHONY: image
image: $(ARCHES:%=binary-%) ## Build the image for all architectures with docker, podman or buildah; ARCHES=amd64 builds one
	cargo run --locked --quiet --package ecr-refresher-tests --bin ca-bundle >dist/ca-certificates.crt
	@set -- --platform $$(echo $(ARCHES:%=linux/%) | tr ' ' ,) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD); \
	for builder in docker podman buildah; do \
		if $$builder info >/dev/null 2>&1; then \
			echo "Building $(IMAGE) for $(ARCHES) with $$builder."; \
			if test $$builder = docker; then exec docker buildx build --tag $(IMAGE) "$$@" .; fi; \
			$$builder manifest rm $(IMAGE) >/dev/null 2>&1; \
			exec $$builder build --manifest $(IMAGE) "$$@" .; \
		fi; \
	done; \
	echo "docker, podman and buildah are missing or do not work. Install one of them, on Debian with \`apt-get install buildah\`" >&2; \
	exit 1

.PHONY: schema
schema: ## Generate the JSON Schema of the config file, and update values.schema.json
	schema="$$(cargo run --locked --quiet --package ecr-refresher -- schema)" && \
		printf '%s\n' "$$schema" >config/schema.json
	cargo run --locked --quiet --package ecr-refresher-tests --bin chart-schema

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

$(CARGO_DENY):
	@echo "Building cargo-deny $(CARGO_DENY_VERSION). This happens only once and takes about 5 minutes."
	cargo install --locked --quiet --root $(CACHE)/cargo cargo-deny@$(CARGO_DENY_VERSION)
