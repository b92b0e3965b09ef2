# What a contributor types. Needs rustup (and its C linker), make and git; everything else is set up here.

.PHONY: demo modules test lint bench reproducible target

# The one profile that hosts are built in, and the workspace's features: the engine takes minutes, so it is compiled once.
CARGO_BUILD = cargo build --release --locked

# Builds the command, and checks an example with it. It holds violations, so 1 is the right exit code.
demo: modules
	$(CARGO_BUILD) --workspace --bin flytewarden
	target/release/flytewarden check examples/before.yaml; test $$? -eq 1

# Leaves the annotated modules in dist/.
modules: target
	cargo xtask modules

test: modules
	cargo test --release --locked --workspace
	cargo xtask reproducible

lint: modules
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- --deny warnings
	cargo clippy --profile module --locked --target wasm32-wasip1 --package flytewarden --package flytewarden-floor -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --release --locked --workspace --no-deps

# What a decision costs, beside a guest that accepts without reading.
bench: modules
	cargo build --profile module --locked --target wasm32-wasip1 --package flytewarden-floor
	cargo run --release --locked --package flytewarden-bench

target:
	rustup target add wasm32-wasip1
