//! `make bench`: the cost of a decision, on Kubewarden's engine and on [`opa`]'s, and of a run of the [`command`].
//!
//! Each request goes to each module in a fresh instance, as in Kubewarden, alternating with the floor: a guest that accepts
//! without reading. Times are medians and depend on the machine; the ratio to the floor of the same run depends on it less.
//! Fuel does not depend on it: it counts the WebAssembly instructions of the guest's own work, without the start of the
//! instance.

mod command;
mod opa;
mod requests;

use std::{
    env,
    error::Error,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use flytewarden_cli::engine::{self, Guest};
use flytewarden_e2e::cost::Counted;
use flytewarden_offline::cluster::NoCluster;
use requests::Asked;
use serde_json::json;

/// How often a module gets a request. Depends on the request's size, so that each row takes a few seconds.
fn rounds(payload: &[u8]) -> usize {
    (40_000_000 / payload.len()).clamp(50, 2_000)
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let floor = fs::read(target.join("wasm32-wasip1/module/flytewarden_floor.wasm"))?;
    let engine = engine::Engine::new(flytewarden_cli::DEFAULT_TIME).expect("an engine");
    let floor_guest = Guest::compile(&engine, &floor)?;

    println!("{:<46} {:>8} {:>9} {:>9} {:>7} {:>9}", "request, module", "bytes", "floor", "time", "ratio", "fuel");
    let load = |name: &str| -> Result<_, Box<dyn Error>> {
        let module = fs::read(root.join("dist").join(format!("{name}.wasm")))?;
        Ok((Guest::compile(&engine, &module)?, Counted::compile(&module)?))
    };
    let whole = load("flytewarden")?;
    let requests = requests::all();
    for Asked { policy, title, request, settings } in &requests {
        let own = load(policy)?;
        let of_whole = json!({ *policy: settings });
        for (name, settings, (guest, counted)) in [(*policy, settings, &own), ("flytewarden", &of_whole, &whole)] {
            let payload = format!(r#"{{"request":{request},"settings":{settings}}}"#);
            let [floor_time, time] = medians([&floor_guest, guest], payload.as_bytes())?;
            println!(
                "{:<46} {:>8} {:>6.1} us {:>6.1} us {:>7.2} {:>9}",
                format!("{title}, {name}"),
                payload.len(),
                floor_time.as_secs_f64() * 1e6,
                time.as_secs_f64() * 1e6,
                time.as_secs_f64() / floor_time.as_secs_f64(),
                counted.cost(payload.as_bytes())?.fuel,
            );
        }
    }
    let policy = "flyte-non-root";
    let (mut in_opa, (of_kubewarden, _)) = (opa::Opa::load(root, policy)?, load(policy)?);
    for asked in requests.iter().filter(|asked| asked.policy == policy) {
        in_opa.print(asked, &of_kubewarden)?;
    }
    command::print();
    Ok(())
}

fn medians<const N: usize>(guests: [&Guest; N], payload: &[u8]) -> Result<[Duration; N], Box<dyn Error>> {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds(payload) {
        for (guest, times) in guests.iter().zip(&mut times) {
            let start = Instant::now();
            guest.call("validate", payload, Arc::new(NoCluster))?;
            times.push(start.elapsed());
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    }))
}
