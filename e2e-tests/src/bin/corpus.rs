//! Runs or exports the cases for Kubewarden's own engines, the npm package and `fuzz/`. `e2e-tests/*.bats` and `web/tests/` call
//! it.

use std::{
    collections::BTreeMap,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Parser;
use flytewarden_e2e::{
    api_server::{ApiServer, Outcome},
    corpus::{self, Entry},
    kwctl, opa,
    policy_server::{self, Server},
    reports, root, seeds,
    webhooks::{self, Policy, PolicyServer},
};
use serde_json::{Value, json};

#[derive(Parser)]
enum Command {
    /// Writes the cases to a folder, and a policy-server's configuration with modules from a registry.
    Export { folder: PathBuf, registry: String, tag: String },
    /// Prints the command's report on every case, a line of JSON for each.
    Reports,
    /// Writes the cases as inputs of the targets in `fuzz/`, a folder for each.
    Seeds { folder: PathBuf },
    /// Writes the cases to a file as questions for OPA's engines, a line of JSON for each.
    Opa { file: PathBuf },
    /// Runs every case of a folder with kwctl.
    Kwctl { folder: PathBuf },
    /// Sends every case of a folder to a policy-server.
    Review {
        folder: PathBuf,
        url: String,
        /// The URL that takes the objects of a case's cluster.
        cluster: Option<String>,
    },
    /// Sends the cases of a folder to a policy-server repeatedly, over several connections.
    Load { folder: PathBuf, url: String, requests: usize, connections: usize },
    /// Writes what Kubewarden's controller would generate, for some policies and for those that the cases of a folder need:
    /// `webhooks.json` and `webhooks-of-cases.json` for the API server, `policies.yml` for policy-server.
    Webhooks {
        folder: PathBuf,
        /// The URL of policy-server, for the API server.
        url: String,
        /// The certificate of the CA that signed policy-server's.
        ca: PathBuf,
        /// Each a ClusterAdmissionPolicy.
        policies: Vec<PathBuf>,
    },
    /// Sends every case of a folder to an API server.
    Admit { folder: PathBuf, url: String },
    /// Compares the API server's answers for the objects of manifests with the command's JSON report on standard input.
    Compare { folder: PathBuf, url: String, manifests: PathBuf },
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    Ok(match Command::parse() {
        Command::Export { folder, registry, tag } => {
            let entries = corpus::export(&folder)?;
            let policies = policy_server::policies(&entries, &registry, &tag)?;
            fs::write(folder.join("policies.yml"), policies.to_string())?;
            println!("{} cases", entries.len());
            ExitCode::SUCCESS
        }
        Command::Reports => {
            let left_out = reports::write(&mut io::stdout().lock())?;
            eprintln!("{left_out} cases are about what no manifests say");
            ExitCode::SUCCESS
        }
        Command::Seeds { folder } => {
            println!("{} inputs", seeds::write(&folder)?);
            ExitCode::SUCCESS
        }
        Command::Opa { file } => {
            opa::export(&file)?;
            ExitCode::SUCCESS
        }
        Command::Kwctl { folder } => with_kwctl(&corpus::read_entries(&folder)?),
        Command::Review { folder, url, cluster } => {
            review(&corpus::read_entries(&folder)?, &Server::at(&url, cluster.as_deref()))?
        }
        Command::Load { folder, url, requests, connections } => {
            load(&corpus::read_entries(&folder)?, &Server::at(&url, None), requests, connections)?
        }
        Command::Webhooks { folder, url, ca, policies } => {
            write_webhooks(&folder, &url, &ca, &policies)?;
            ExitCode::SUCCESS
        }
        Command::Admit { folder, url } => admit(&corpus::read_entries(&folder)?, &ApiServer::at(&url))?,
        Command::Compare { folder, url, manifests } => {
            compare(&corpus::read_entries(&folder)?, &ApiServer::at(&url), &fs::read_to_string(manifests)?)?;
            ExitCode::SUCCESS
        }
    })
}

/// The outcomes of the cases.
#[derive(Default)]
struct Tally {
    passed: AtomicUsize,
    failed: AtomicUsize,
    skipped: AtomicUsize,
}

impl Tally {
    fn count(&self, title: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed.fetch_add(1, Ordering::Relaxed),
            Err(difference) => {
                println!("FAILED {title}\n{difference}");
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    fn skip(&self, title: &str, reason: &str) {
        println!("SKIPPED, since {reason}: {title}");
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    fn finish(self) -> ExitCode {
        let (passed, failed) = (self.passed.into_inner(), self.failed.into_inner());
        println!("{passed} passed, {failed} failed, {} skipped", self.skipped.into_inner());
        if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn with_kwctl(entries: &[Entry]) -> ExitCode {
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                while let Some(entry) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = entry.case();
                    if case.has_odd_settings() || case.lacks_operation() {
                        tally.skip(&entry.title(), "kwctl refuses it before the policy can");
                    } else {
                        tally.count(&entry.title(), kwctl::judge(&module(&root(), &case.policy), &case));
                    }
                }
            });
        }
    });
    tally.finish()
}

fn module(root: &Path, policy: &str) -> PathBuf {
    root.join("dist").join(format!("{policy}.wasm"))
}

fn review(entries: &[Entry], server: &Server) -> Result<ExitCode, Box<dyn Error>> {
    let tally = Tally::default();
    runtime()?.block_on(async {
        for entry in entries {
            match server.skips(&entry.case()) {
                Some(reason) => tally.skip(&entry.title(), reason),
                None => tally.count(&entry.title(), server.judge(entry).await),
            }
        }
    });
    Ok(tally.finish())
}

fn load(entries: &[Entry], server: &Server, requests: usize, connections: usize) -> Result<ExitCode, Box<dyn Error>> {
    let entries: Vec<&Entry> =
        entries.iter().filter(|entry| server.skips(&entry.case()).is_none() && entry.case().object.is_some()).collect();
    let (tally, next, began) = (Tally::default(), AtomicUsize::new(0), Instant::now());
    let connection = async || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return;
            }
            let entry = entries[number % entries.len()];
            tally.count(&entry.title(), server.judge(entry).await);
        }
    };
    runtime()?.block_on(async {
        let mut all: Vec<_> = (0..connections).map(|_| Box::pin(connection())).collect();
        futures_util::future::join_all(all.drain(..)).await;
    });
    println!("{requests} requests from {connections} connections in {:.1} s", began.elapsed().as_secs_f64());
    Ok(tally.finish())
}

fn write_webhooks(folder: &Path, url: &str, ca: &Path, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let ca_bundle = BASE64_STANDARD.encode(fs::read(ca)?);
    let server = PolicyServer { url, ca_bundle: &ca_bundle };
    let mut policies: Vec<Policy> =
        files.iter().map(|file| Policy::parse(&fs::read_to_string(file)?)).collect::<io::Result<_>>()?;
    let of_cases = Policy::of_cases(&corpus::read_entries(folder)?)?;
    fs::write(folder.join("webhooks.json"), webhooks::list(&policies, &server).to_string())?;
    fs::write(folder.join("webhooks-of-cases.json"), webhooks::list(&of_cases, &server).to_string())?;
    policies.extend(of_cases);
    fs::write(folder.join("policies.yml"), webhooks::configuration(&policies).to_string())?;
    Ok(())
}

fn admit(entries: &[Entry], server: &ApiServer) -> Result<ExitCode, Box<dyn Error>> {
    let tally = Tally::default();
    runtime()?.block_on(async {
        server.create_namespaces(entries).await?;
        for entry in entries {
            match server.judge(entry).await {
                Ok(Outcome::Skipped(reason)) => tally.skip(&entry.title(), reason),
                Ok(Outcome::Same) => tally.count(&entry.title(), Ok(())),
                Err(difference) => tally.count(&entry.title(), Err(difference)),
            }
        }
        Ok::<_, String>(())
    })?;
    Ok(tally.finish())
}

fn compare(entries: &[Entry], server: &ApiServer, manifests: &str) -> Result<(), Box<dyn Error>> {
    let report: Value = serde_json::from_reader(io::stdin())?;
    let with_defaults = entries.iter().filter(|entry| {
        let case = entry.case();
        case.settings == json!({})
            && case.denied.is_empty()
            && flytewarden::decision::POLICIES.iter().any(|policy| policy.name() == case.policy)
    });
    let ids: BTreeMap<String, String> = with_defaults.map(|entry| (entry.case().policy, entry.id.clone())).collect();
    let compared = runtime()?.block_on(async {
        server.create_namespaces(entries).await?;
        server.compare_report(manifests, &report, &ids).await
    })?;
    println!("{compared} verdicts are those of the report");
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
