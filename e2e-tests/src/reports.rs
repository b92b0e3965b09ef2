//! The command's report on every case, to compare with the reports of other programs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use flytewarden_offline::{
    check::{Check, File, Policy},
    images::Images,
    report::{Namespaces, Report},
    settings::Settings,
};
use serde_json::{Value, json};

use crate::{
    cases::{self, Case},
    native,
};

/// Writes a line of JSON for each case: its `title`, its `settings` by policy, and why they are `refused`; or its `manifests`,
/// the users of its `images`, and the `report` on both. Returns how many cases manifests cannot express, such as those with
/// requests other than CREATE.
///
/// # Errors
///
/// The lines cannot be written.
pub fn write(out: &mut impl Write) -> io::Result<usize> {
    let policies = native::policies();
    let mut left_out = 0;
    for case in cases::all().into_iter().filter(|case| !case.lacks_openssl) {
        match line(&case, &policies) {
            Some(line) => writeln!(out, "{line}")?,
            None => left_out += 1,
        }
    }
    Ok(left_out)
}

/// The line of a case, with the report of some policies; `None` if manifests cannot express the case.
pub fn line(case: &Case, policies: &[impl Policy]) -> Option<Value> {
    let name = case.policy.trim_end_matches("-image-user");
    let title = format!("{} {}: {}", case.policy, case.table, case.it);
    let settings = json!({ name: case.settings });
    let read = match Settings::parse(&settings.to_string(), policies) {
        Ok(read) => read,
        Err(wrong) => return Some(json!({"title": title, "settings": settings, "refused": wrong.problem})),
    };
    let object = case.object.as_ref().filter(|_| case.request.is_empty())?;
    let images = users(case)?;
    let read = if images.is_some() { read.or("imageUser", "check", policies).ok()? } else { read };
    let manifests: Vec<String> =
        std::iter::once(object).chain(case.cluster.iter().flatten()).map(Value::to_string).collect();
    let manifests = manifests.join("\n---\n");

    let files = [File::new("<stdin>".to_owned(), Ok(manifests.clone()))];
    let images_of = images.clone().map(Images::from_users).unwrap_or_default();
    let check =
        Check { policies, settings: &read, namespace: "default", images: images_of, namespaces: Namespaces::All };
    let mut run = check.start(&files, Report::default());
    run.add(&files[0]);
    let report = run.finish();
    Some(json!({"title": title, "settings": settings, "manifests": manifests, "images": images, "report": report}))
}

/// The users of the images that a case's host knows; `None` if the host answers in another way.
fn users(case: &Case) -> Option<Option<BTreeMap<String, Option<String>>>> {
    let Some(images) = &case.images else { return Some(None) };
    let users = images.iter().map(|(image, user)| Some((image.clone(), Some(user.as_str()?.to_owned()))));
    users.collect::<Option<_>>().map(Some)
}
