//! The cost of checking many objects, compared with a bare parse of the same text, which discards libyaml's events.

use std::{
    fs,
    time::{Duration, Instant},
};

use flytewarden::yaml::{Events, Said};
use flytewarden_e2e::native;
use flytewarden_offline::{
    check::{Check, File},
    images::Images,
    report::{Namespaces, Report},
    settings::Settings,
};

/// The number of documents in a stream.
const DOCUMENTS: usize = 20_000;

/// A Deployment of 400 bytes, as charts write them.
fn deployment(number: usize, user: u32) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{number}\n  namespace: flyte\n  labels: {{app: app-{number}}}\n\
         spec:\n  replicas: 1\n  selector: {{matchLabels: {{app: app-{number}}}}}\n  template:\n    metadata:\n      labels: {{app: app-{number}}}\n\
         \x20   spec:\n      securityContext: {{runAsUser: {user}}}\n      containers:\n      - name: app\n        image: example.com/app:{number}\n\
         \x20       ports: [{{containerPort: 80}}]\n"
    )
}

/// Prints a row for good Deployments, and one for as many with violations. All runs on one thread, so the time is CPU time.
pub fn print() {
    println!("\n{:<46} {:>8} {:>9} {:>9} {:>7} {:>9}", "stream, command", "bytes", "parse", "time", "ratio", "memory");
    for (title, user) in [("20,000 Deployments", 1000), ("20,000 Deployments as root", 0)] {
        let text: String = (0..DOCUMENTS).map(|number| deployment(number, user)).collect();
        let memory =
            memory(|| check(&text)).map_or("not known".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000));
        let [parse, time] = [median(|| parse(&text)), median(|| check(&text))];
        println!(
            "{title:<46} {:>8} {:>6} ms {:>6} ms {:>7.2} {memory:>9}",
            text.len(),
            parse.as_millis(),
            time.as_millis(),
            time.as_secs_f64() / parse.as_secs_f64(),
        );
    }
}

fn parse(text: &str) {
    let mut events = Events::new(text.as_bytes());
    while let Ok(event) = events.next_event()
        && !matches!(event.content(), Said::StreamEnd)
    {}
}

fn check(text: &str) {
    let (policies, settings) = (native::policies(), Settings::default());
    let files = [File::new("<stdin>".to_owned(), Ok(text.to_owned()))];
    let check = Check {
        policies: &policies,
        settings: &settings,
        namespace: "default",
        images: Images::default(),
        namespaces: Namespaces::All,
    };
    let mut run = check.start(&files, Report::default());
    run.add(&files[0]);
    assert_eq!(DOCUMENTS, run.finish().summary.judged);
}

/// The most memory that a run takes in addition to the memory in use, in bytes. `None` if Linux does not report it.
fn memory(run: impl Fn()) -> Option<u64> {
    let said = |field: &str| {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
    };
    // Resets the peak.
    fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = said("VmRSS")?;
    run();
    Some(said("VmHWM")?.saturating_sub(before))
}

/// The median time of five runs.
fn median(run: impl Fn()) -> Duration {
    let mut times = [(); 5].map(|()| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.sort_unstable();
    times[2]
}
