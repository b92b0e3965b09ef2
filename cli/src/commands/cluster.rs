//! `flytewarden check --context`.

use std::error::Error;

use flytewarden_cli::cluster::{self, Objects};
use flytewarden_offline::{
    check::{File, Policy as _},
    report::Report,
};

use super::Setup;

/// Reads the objects that policies read from a cluster. Adds the objects that cannot be read to the report.
pub fn read_objects(context: &str, setup: &Setup, report: &mut Report) -> Result<File, Box<dyn Error>> {
    let resources = setup.policies.iter().flat_map(|policy| policy.metadata().resources()).collect();
    let Objects { file, unread } = cluster::read_cluster(context, setup.named_namespaces(), resources)?;
    for reason in unread {
        report.add_unread(&file.name, None, reason);
    }
    for policy in setup.policies.iter().filter(|policy| policy.metadata().has_wildcards()) {
        let reason = format!("{} covers kinds by a wildcard (*), and those are not read from a cluster", policy.name());
        report.add_unread(&file.name, None, reason);
    }
    Ok(file)
}
