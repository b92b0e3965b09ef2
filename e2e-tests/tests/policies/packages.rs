//! Tests of each module's package: values that several files repeat are the same in all of them, and the claims in them are
//! true.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cel::{Context, Program};
use flytewarden::{
    decision::{POLICIES, Policies, VARIANTS},
    oauth_tls::LINKED,
    policy::Policy,
};
use flytewarden_e2e::{
    cases::{self, Case},
    certificates,
    native::clock,
    root,
};
use flytewarden_offline::{cluster::NoCluster, linked::Asked, manifest, request::Request, yaml};
use kubewarden_policy_sdk::crd::policies::ClusterAdmissionPolicy;
use serde_json::{Value, json};

/// A module and the folder of its package.
struct Package {
    name: &'static str,
    folder: PathBuf,
    module: Policies<'static>,
}

fn of_policy(policy: &'static dyn Policy) -> Package {
    let folder = root().join("policies").join(policy.name());
    Package { name: policy.name(), folder, module: Policies::One(policy) }
}

fn policies() -> Vec<Package> {
    POLICIES.iter().map(|policy| of_policy(*policy)).collect()
}

fn packages() -> Vec<Package> {
    let all = Package { name: "flytewarden", folder: root(), module: Policies::Several(POLICIES) };
    let more = VARIANTS.iter().map(|policy| of_policy(*policy));
    policies().into_iter().chain(more).chain([all]).collect()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse_yaml(text: &str) -> Value {
    json!(yaml::settings(text).expect("it is YAML"))
}

impl Package {
    fn text(&self, file: &str) -> String {
        text(&self.folder.join(file))
    }

    fn yaml(&self, file: &str) -> Value {
        parse_yaml(&self.text(file))
    }

    fn annotation(&self, name: &str) -> String {
        let metadata = self.yaml("metadata.yml");
        metadata["annotations"][name].as_str().unwrap_or_else(|| panic!("{} has no {name}", self.name)).to_owned()
    }

    /// The reference of the module in the registry of releases.
    fn reference(&self) -> String {
        format!("{}:v{}", self.annotation("io.kubewarden.policy.ociUrl"), env!("CARGO_PKG_VERSION"))
    }

    /// The module's error for settings; `None` if they are valid.
    fn refusal(&self, settings: &Value) -> Option<String> {
        self.module.validate_settings(settings.to_string().as_bytes()).err().map(|invalid| invalid.to_string())
    }

    /// The error for settings, from the module or from the one that its error recommends for them.
    fn refusal_by_any(&self, settings: &Value) -> Option<String> {
        let refusal = self.refusal(settings)?;
        let is_named = |more: &&&dyn Policy| refusal.contains(&format!("use {}, the same policy", more.name()));
        match VARIANTS.iter().find(is_named) {
            Some(more) => of_policy(*more).refusal(settings.get("flyte-non-root").unwrap_or(settings)),
            None => Some(refusal),
        }
    }

    /// The names that the code accepts in place of an unknown one in `settings`.
    fn names_taken(&self, settings: &Value) -> BTreeSet<String> {
        let refusal = self.refusal(settings).expect("an unknown name is refused");
        let (_, expected) = refusal.split_once("expected ").unwrap_or_else(|| panic!("{refusal}"));
        let expected = expected.split("; did you mean").next().unwrap_or(expected);
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn questions(&self) -> Vec<Value> {
        self.yaml("questions-ui.yml")["questions"].as_array().expect("there are questions").clone()
    }
}

fn variables(questions: &[Value]) -> BTreeSet<String> {
    questions.iter().map(|question| question["variable"].as_str().expect("it has a name").to_owned()).collect()
}

/// The blocks of a page in a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let parts = page.split("\n```").collect::<Vec<_>>();
    parts.iter().filter_map(|part| part.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

#[test]
fn the_settings_of_the_questions_are_those_of_the_code() {
    for package in policies() {
        let questions = package.questions();
        assert_eq!(package.names_taken(&json!({"?": 0})), variables(&questions), "{}", package.name);
        for question in questions {
            if let Some(fields) = question["sequence_questions"].as_array() {
                let name = question["variable"].as_str().unwrap();
                assert_eq!(package.names_taken(&json!({name: [{"?": 0}]})), variables(fields), "{name}");
            }
        }
    }
}

#[test]
fn the_settings_of_the_examples_are_those_of_the_code() {
    for package in policies() {
        let page = package.text("README.md");
        let (_, settings) = page.split_once("\n## Settings\n").expect("there are settings");
        let mut shown = BTreeSet::new();
        for block in blocks(settings, "yaml") {
            let example = parse_yaml(&block);
            shown.extend(example.as_object().expect("settings are a map").keys().cloned());
            // A block with dots in place of values cannot be read.
            if !block.contains("...") {
                assert_eq!(None, package.refusal_by_any(&example), "{block}");
            }
        }
        assert_eq!(variables(&package.questions()), shown, "{}", package.name);
    }
}

#[test]
fn the_answers_that_questions_offer_are_accepted() {
    for package in packages() {
        let mut defaults = json!({});
        for question in package.questions() {
            let name = question["variable"].as_str().unwrap();
            let path = format!("/{}", name.replace('.', "/"));
            let set = |settings: &mut Value, value: &Value| {
                if let Some((policy, _)) = name.split_once('.') {
                    settings.as_object_mut().unwrap().entry(policy).or_insert(json!({}));
                }
                let (parent, field) = path.rsplit_once('/').unwrap();
                settings.pointer_mut(parent).unwrap()[field] = value.clone();
            };
            for option in question["options"].as_array().into_iter().flatten() {
                let mut settings = json!({});
                set(&mut settings, option);
                assert_eq!(None, package.refusal_by_any(&settings), "{name}");
            }
            if let Some(default) = question.get("default") {
                set(&mut defaults, default);
            }
        }
        assert_eq!(None, package.refusal(&defaults), "{}", package.name);
    }
}

#[test]
fn policies_to_apply_are_custom_resources_and_agree_with_the_metadata() {
    for package in packages() {
        let written = package.yaml("policy.yaml");
        let resource: ClusterAdmissionPolicy =
            serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{}: {error}", package.name));
        let understood = json!(resource);
        assert!(includes(&understood, &written), "{}: {understood} lacks something of {written}", package.name);

        let metadata = package.yaml("metadata.yml");
        assert_eq!(package.name, written["metadata"]["name"]);
        for name in ["io.kubewarden.policy.category", "io.kubewarden.policy.severity"] {
            assert_eq!(package.annotation(name), written["metadata"]["annotations"][name]);
        }
        assert_eq!(format!("registry://{}", package.reference()), written["spec"]["module"]);
        // Although settings can make some policies mutating, none is by default.
        assert_eq!(json!(false), written["spec"]["mutating"]);
        for field in ["rules", "backgroundAudit", "contextAwareResources"] {
            assert_eq!(metadata[field], written["spec"][field], "{} {field}", package.name);
        }
        assert_eq!(None, package.refusal(&written["spec"]["settings"]));
    }
}

/// The conditions of a policy under which the API server sends it a request, by their names.
fn conditions(package: &Package) -> BTreeMap<String, String> {
    let conditions = package.yaml("policy.yaml")["spec"]["matchConditions"].clone();
    let text = |condition: &Value, field: &str| condition[field].as_str().expect("it is text").to_owned();
    let pair = |condition: &Value| (text(condition, "name"), text(condition, "expression"));
    conditions.as_array().into_iter().flatten().map(pair).collect()
}

/// With any settings, a policy gets every request in which it finds something.
#[test]
fn conditions_leave_out_no_case_with_a_finding() {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| !case.lacks_openssl && has_findings(case)).collect();
    let mut checked = 0;
    for package in packages() {
        for (name, expression) in conditions(&package) {
            let program =
                Program::compile(&expression).unwrap_or_else(|error| panic!("{} {name}: {error}", package.name));
            for case in cases.iter().filter(|case| [&case.policy, "flytewarden"].contains(&package.name)) {
                let request = as_sent(case.admission_request());
                // The API server never sends an UPDATE without the old object.
                if request["operation"] == "UPDATE" && request["oldObject"].is_null() {
                    continue;
                }
                let mut context = Context::default();
                for (variable, value) in
                    [("request", &request), ("object", &request["object"]), ("oldObject", &request["oldObject"])]
                {
                    context.add_variable(variable, value).expect("it is JSON");
                }
                let holds = program.execute(&context);
                assert_eq!(Ok(cel::Value::Bool(true)), holds, "{} {name}: {} {}", package.name, case.table, case.it);
                checked += 1;
            }
        }
    }
    assert!(checked > 0);
}

/// Whether a policy rejects a case's object, changes it, or has notices on it other than `not-judged`.
fn has_findings(case: &Case) -> bool {
    let has_notices = !case.warnings.is_empty() && case.rules != ["not-judged"];
    case.object.is_some() && (!case.accepted || has_notices || case.changed.is_some())
}

/// A request as the API server sends it: without fields that are null, and with a Secret's `stringData` in `data`.
fn as_sent(mut request: Value) -> Value {
    fn remove_nulls(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, field| !field.is_null());
                fields.values_mut().for_each(remove_nulls);
            }
            Value::Array(items) => items.iter_mut().for_each(remove_nulls),
            _ => {}
        }
    }
    remove_nulls(&mut request);
    for object in ["object", "oldObject"] {
        if let Some(Value::Object(texts)) =
            request[object].as_object_mut().and_then(|fields| fields.remove("stringData"))
        {
            for (key, text) in texts {
                request[object]["data"][key] = BASE64_STANDARD.encode(text.as_str().unwrap_or_default()).into();
            }
        }
    }
    request
}

/// Whether a value contains everything in another.
fn includes(value: &Value, part: &Value) -> bool {
    match part {
        Value::Object(fields) => fields.iter().all(|(name, field)| includes(&value[name], field)),
        other => value == other,
    }
}

#[test]
fn artifact_hub_packages_agree_with_the_metadata() {
    for package in packages() {
        let hub = package.yaml("artifacthub-pkg.yml");
        let annotation = |name: &str| package.annotation(&format!("io.kubewarden.policy.{name}"));
        assert_eq!(package.name, hub["name"]);
        assert_eq!(env!("CARGO_PKG_VERSION"), hub["version"]);
        assert_eq!(package.annotation("io.artifacthub.displayName"), hub["displayName"]);
        assert_eq!(annotation("description"), hub["description"]);
        assert_eq!(annotation("license"), hub["license"]);
        assert_eq!(annotation("url"), hub["homeURL"]);
        assert_eq!(json!([{"name": "policy", "image": package.reference()}]), hub["containersImages"]);
        let keywords = package.annotation("io.artifacthub.keywords");
        assert_eq!(json!(keywords.split(", ").collect::<Vec<_>>()), hub["keywords"]);
        let [name, email] = ["name", "email"].map(|field| hub["maintainers"][0][field].as_str().unwrap());
        assert_eq!(annotation("author"), format!("{name} <{email}>"));
        assert!(hub["install"].as_str().unwrap().contains(&format!("kwctl pull {}\n", package.reference())));
        assert_eq!("kubewarden", hub["provider"]["name"]);

        let metadata = package.yaml("metadata.yml");
        let told = |name: &str| hub["annotations"][format!("kubewarden/{name}")].as_str().map(str::to_owned);
        let takes_fill = package.questions().iter().any(|question| question["label"] == "Fill");
        assert_eq!(json!(takes_fill), metadata["mutating"], "{}", package.name);
        assert_eq!(Some(takes_fill.to_string()), told("mutation"), "{}", package.name);
        assert_eq!(Some(package.annotation("io.artifacthub.resources")), told("resources"));
        assert_eq!(metadata["rules"], parse_yaml(&told("rules").unwrap()));
        let sorted =
            |kinds: &Value| kinds.as_array().into_iter().flatten().map(Value::to_string).collect::<BTreeSet<String>>();
        let kinds = told("contextAwareResources").map_or(Value::Null, |kinds| parse_yaml(&kinds));
        assert_eq!(sorted(&metadata["contextAwareResources"]), sorted(&kinds), "{}", package.name);
        assert_eq!(package.text("questions-ui.yml").trim_end(), told("questions-ui").unwrap().trim_end());
    }
}

#[test]
fn references_are_of_this_version_and_repository() {
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    for package in packages() {
        assert_eq!(env!("CARGO_PKG_REPOSITORY"), package.annotation("io.kubewarden.policy.source"));
        assert_eq!(env!("CARGO_PKG_REPOSITORY"), package.annotation("io.kubewarden.policy.url"));
        let owner = env!("CARGO_PKG_REPOSITORY").rsplit('/').nth(1).unwrap();
        let url = format!("ghcr.io/{owner}/policies/{}", package.name);
        assert_eq!(url, package.annotation("io.kubewarden.policy.ociUrl"));
        let own = if package.name == "flytewarden" { tag.clone() } else { format!("{}/{tag}", package.name) };
        assert_eq!(own, package.annotation("com.github.release.tag"));
        for file in ["README.md", "policy.yaml", "artifacthub-pkg.yml"] {
            let text = package.text(file);
            for reference in text.split(&format!("ghcr.io/{owner}/policies/")).skip(1) {
                let reference = reference.split(['`', '\n', ' ', ')', '"']).next().unwrap();
                assert_eq!(Some(&*tag), reference.split(':').nth(1), "{file}: {reference}");
            }
            is_of(&tag, file, &text);
        }
    }
    for file in ["SECURITY.md", "README.md", "action.yml"] {
        is_of(&tag, file, &text(&root().join(file)));
    }
}

/// Checks that addresses in a page lead to a version.
fn is_of(tag: &str, file: &str, page: &str) {
    for start in ["?ref=", "/releases/download/", "@refs/tags/", "<policy>:", "/flytewarden:", "/flytewarden@"] {
        for address in page.split(start).skip(1) {
            // A policy's own release has its name before the version.
            let address = address.split_once("%2F").map_or(address, |(_, version)| version);
            assert!(address.starts_with(tag), "{file}: {start} leads to another version than {tag}: {address:.40}");
        }
    }
}

/// Each example is a change, in a block `diff` after the name of its rule.
#[test]
fn examples_are_rejected_by_their_rule_before_and_accepted_after() {
    for package in policies() {
        let page = package.text("README.md");
        let diffs = blocks(&page, "diff");
        assert!(!diffs.is_empty(), "{} has no examples", package.name);
        for diff in diffs {
            let (before_it, _) = page.split_once(&diff).unwrap();
            let rule = before_it.trim_end_matches("```diff\n").trim_end().rsplit("\n\n").next().unwrap();
            let rule = rule.split('`').nth(1).unwrap();
            let side = |other: char| {
                let kept = diff.lines().filter(|line| !line.starts_with(other));
                kept.map(|line| format!("{}\n", &line[1..])).collect::<String>()
            };
            let found = rules(&package, &side('+'));
            assert!(found.contains(rule), "{} {rule}: before, it finds {found:?}", package.name);
            assert_eq!(BTreeSet::new(), rules(&package, &side('-')), "{} {rule}: after", package.name);
        }
    }
}

/// The rules by which a policy rejects a manifest.
fn rules(package: &Package, manifest: &str) -> BTreeSet<String> {
    let object = manifest::objects(manifest).next().expect("it is one").expect("it is an object");
    let settings = if manifest.contains("${") { json!({"trustRoots": "${root}"}) } else { json!({}) };
    let mut payload = json!({"request": Request::create(&object, "flyte"), "settings": settings});
    certificates::fill(&mut payload).expect("openssl makes none of these");
    let answer =
        package.module.validate(payload.to_string().as_bytes(), &Asked { host: &NoCluster, clock, pki: || Ok(LINKED) });
    let annotations = answer.audit_annotations.unwrap_or_default();
    assert!(!annotations.contains_key("unjudged"), "{annotations:?}");
    let violations = annotations.get("violations").map_or(json!([]), |json| serde_json::from_str(json).unwrap());
    let violations = violations.as_array().unwrap().iter();
    violations.map(|violation| violation["rule"].as_str().unwrap().to_owned()).collect()
}
