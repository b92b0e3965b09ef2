//! The cases as the first inputs of the targets in `fuzz/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flytewarden::oauth_tls::LINKED;
use flytewarden_offline::{ignored::Comments, linked::Asked, manifest, report::Report};
use serde_json::{Map, Value, json};

use crate::{
    cases::{self, Case},
    native::clock,
};

/// The kinds whose objects the seeds contain: some of those that policies ask for.
const LISTED: [&str; 4] = ["ConfigMap", "Deployment", "Ingress", "Service"];

/// The largest input, in bytes: four times libFuzzer's default limit.
const MOST_BYTES: usize = 16 * 1024;

/// The inputs of each target.
#[derive(Default)]
struct Seeds(BTreeMap<&'static str, BTreeSet<String>>);

/// Writes the inputs, a folder for each target. Returns how many there are.
///
/// # Errors
///
/// The folder cannot be written to.
///
/// # Panics
///
/// A case cannot be sent to its policy.
pub fn write(folder: &Path) -> io::Result<usize> {
    let mut seeds = Seeds::default();
    for case in cases::all().into_iter().filter(|case| !case.lacks_openssl) {
        seeds.add(&case);
    }
    let mut count = 0;
    for (target, inputs) in &seeds.0 {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (number, input) in inputs.iter().filter(|input| input.len() <= MOST_BYTES).enumerate() {
            fs::write(folder.join(format!("case-{number}")), input)?;
            count += 1;
        }
    }
    Ok(count)
}

impl Seeds {
    fn put(&mut self, target: &'static str, input: String) {
        self.0.entry(target).or_default().insert(input);
    }

    fn add(&mut self, case: &Case) {
        let texts = texts([&case.object, &Some(case.settings.clone())].into_iter().flatten());
        for text in &texts {
            let words = text.split(|letter: char| letter.is_whitespace() || "\"'`,;[]".contains(letter));
            words.filter(|word| word.contains("://")).for_each(|word| self.put("origins", word.to_owned()));
            if text.contains('\n') && !text.starts_with("-----") {
                self.put("yaml", text.clone());
            }
        }
        let Some(object) = &case.object else { return };
        let (settings, host) = (&case.settings, host(case));
        let request = case.admission_request();
        let payload = json!({"request": request, "settings": settings, "host": host}).to_string();
        self.put("yaml", block(object));
        if case.settings.get("fill").is_some() {
            self.put("edit", payload.clone());
        }
        self.put("request", payload);
        if let Some(bundle) = bundle(object) {
            self.put("bundle", format!("{}\n{bundle}", json!({"settings": settings, "host": host})));
        }
        self.put_edits(case, &block(object));
    }

    /// Adds the edits that the policy suggests for a manifest.
    fn put_edits(&mut self, case: &Case, manifest: &str) {
        let Some(Ok(object)) = manifest::objects(manifest).next() else { return };
        let payload = json!({"request": case.admission_request(), "settings": case.settings}).to_string();
        let host = Asked { host: &*case.host(), clock, pki: || Ok(LINKED) };
        let answer = json!(case.native().validate(payload.as_bytes(), &host));
        let answer = serde_json::from_value(answer).map_err(|error| error.to_string());
        let mut report = Report::default();
        report.add("", manifest, &mut Comments::default(), &object, vec![(case.policy.clone(), answer)]);
        for finding in report.objects.iter().flat_map(|judged| &judged.violations) {
            if !finding.edits.is_empty() {
                self.put("edit", format!("{}\n{manifest}", json!(finding.edits)));
            }
        }
    }
}

/// The answers of a case's host, in the form that the targets read.
fn host(case: &Case) -> Value {
    let mut host = Map::from_iter([("now".to_owned(), json!(clock().unwrap_or_default().as_secs()))]);
    for kind in LISTED {
        if case.denied.iter().any(|denied| denied == kind) {
            host.insert(kind.to_owned(), json!(format!("no access to {kind}")));
        } else if let Some(objects) = &case.cluster {
            let of_kind: Vec<&Value> = objects.iter().filter(|object| object["kind"] == kind).collect();
            host.insert(kind.to_owned(), json!(of_kind));
        }
    }
    let calls = case.host();
    let known = case.images.iter().flatten().filter_map(|(image, _)| {
        let answer = calls.image(image).ok()?;
        Some((image.clone(), serde_json::from_slice::<Value>(&answer).ok()?))
    });
    host.insert("images".to_owned(), json!(known.collect::<Map<_, _>>()));
    Value::Object(host)
}

/// The `tls.crt` of a Secret.
fn bundle(object: &Value) -> Option<String> {
    let encoded = object["data"]["tls.crt"].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
    let written = object["stringData"]["tls.crt"].as_str().map(str::to_owned);
    written.or_else(|| String::from_utf8(encoded?).ok())
}

/// Every text in the values.
fn texts<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<String> {
    let add = |value: &'v Value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => texts(items.iter()),
        Value::Object(fields) => texts(fields.values()),
        _ => Vec::new(),
    };
    values.flat_map(add).collect()
}

/// A value as YAML in block style, with texts of several lines below `|`.
fn block(value: &Value) -> String {
    let mut text = String::new();
    write_block(value, 0, &mut text);
    text
}

fn write_block(value: &Value, indent: usize, text: &mut String) {
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (format!("{}:", json!(key)), value)).collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        leaf => return text.push_str(&leaf.to_string()),
    };
    for (start, value) in entries {
        text.push_str(&format!("{:indent$}{start}", ""));
        match value {
            Value::Object(fields) if !fields.is_empty() => text.push('\n'),
            Value::Array(items) if !items.is_empty() => text.push('\n'),
            Value::String(lines) if lines.ends_with('\n') && !lines.starts_with([' ', '\n']) => {
                text.push_str(" |\n");
                lines.lines().for_each(|line| text.push_str(&format!("{:indent$}  {line}\n", "")));
                continue;
            }
            leaf => {
                text.push_str(&format!(" {leaf}\n"));
                continue;
            }
        }
        write_block(value, indent + 2, text);
    }
}
