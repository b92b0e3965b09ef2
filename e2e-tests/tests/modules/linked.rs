//! The command's linked policies give the same reports as the compiled modules.

use std::{path::PathBuf, sync::LazyLock};

use flytewarden_cli::{
    check::check,
    engine::Module,
    fix::{Fixes, fix},
    inputs::Inputs,
};
use flytewarden_e2e::{cases, charts, modules, native, reports, root};
use flytewarden_offline::{
    check::{Check, Policy},
    ignored::Omissions,
    images::Images,
    linked::Linked,
    report::{Namespaces, Report},
    settings::Settings,
};
use serde_json::json;

static LINKED: LazyLock<Vec<Linked>> = LazyLock::new(native::policies);

/// The modules of the same policies, under the same names.
static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| {
    let engine = modules::engine();
    let load = |policy: &Linked| Module {
        name: policy.name.clone(),
        ..Module::load(&engine, &modules::bytes(policy.rule.name())).expect("the module loads")
    };
    LINKED.iter().map(load).collect()
});

#[test]
fn every_case_gets_the_report_of_the_modules() {
    let mut compared = 0;
    for case in cases::all().into_iter().filter(|case| !case.lacks_openssl) {
        let [linked, modules] = [reports::line(&case, &LINKED), reports::line(&case, &MODULES)];
        assert_eq!(linked.as_ref().map(ToString::to_string), modules.map(|line| line.to_string()));
        compared += usize::from(linked.is_some());
    }
    assert!(compared > 500, "{compared} cases");
}

#[test]
fn every_chart_gets_the_report_of_the_modules() {
    let charts = charts();
    if !charts.is_dir() {
        println!("SKIPPED: there are no charts in {}, so only the examples are compared", charts.display());
    }
    let paths: Vec<PathBuf> = [root().join("examples"), charts].into_iter().filter(|path| path.is_dir()).collect();
    let [linked, modules] = [report(&LINKED, &paths), report(&MODULES, &paths)];
    assert_eq!(linked, modules);
}

/// The report on manifests, and what is filled in.
fn report<P: Policy>(policies: &[P], paths: &[PathBuf]) -> String {
    let settings = Settings::default().or("fill", "flyte", policies).expect("flyte-non-root is there");
    let with = Check {
        policies,
        settings: &settings,
        namespace: "flyte",
        images: Images::default(),
        namespaces: Namespaces::All,
    };
    let inputs = Inputs::find(paths, &[]);
    let report = check(&with, Report::default(), &inputs.read_files());
    let Fixes { files, report: after } = fix(&with, &Omissions::default(), &inputs);
    let fixed: Vec<&String> = files.iter().map(|file| &file.fixed.text).collect();
    assert!(files.iter().any(|file| file.fixed.objects() > 0));
    serde_json::to_string_pretty(&json!({"report": report, "fixed": fixed, "after": after})).expect("a report is JSON")
}
