//! Checks whole installations as people have them, and compares each with its report:
//! `e2e-tests/deployments/<name>.yaml` and `.txt`.
//!
//! `BLESS=1` rewrites the reports. Read them to review them.

use std::{env, fs};

use super::{root, run};

#[test]
fn each_deployment_gets_its_report() {
    let folder = root().join("e2e-tests/deployments");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let manifests = format!("e2e-tests/deployments/{name}");
        let run = run(&["check", &manifests], "");
        let report = format!("$ flytewarden check {manifests}\n{}{}exit {}\n", run.out, run.err, run.code.unwrap());
        let golden = folder.join(name.replace(".yaml", ".txt"));
        if env::var_os("BLESS").is_some() {
            fs::write(&golden, &report).unwrap();
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&report) {
            wrong.push(report);
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 cargo test each_deployment writes them anew", wrong.join("\n"));
}
