//! The interface for JavaScript: it runs the policies in a browser and in Node, for people who have manifests but no
//! engine.
//!
//! It is thin: `flytewarden-offline` turns text into objects and answers into a report, as for the command. Values cross as
//! JSON; `wasm-bindgen` generates the JavaScript, and `tsify` generates TypeScript's types from the Rust types.

mod pki;
mod policies;

use std::collections::BTreeMap;

use flytewarden_offline::{
    check::{Check, File},
    edit::{self, Edit},
    fix::Left,
    images::Images,
    linked::{Linked, info},
    report::{Namespaces, Place, Report},
    rounds,
    settings::Settings,
};
use js_sys::{Array, Error, JSON, JsString, Reflect, Symbol};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tsify::Tsify;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** The names of the policies. */
export type PolicyName = "flyte-admin-cors" | "flyte-console-url" | "flyte-non-root" | "flyte-oauth-tls" | "flyte2-exposure";

/** The policies' settings, by policy name; or the text of a file for the command's `--settings`. */
export type Settings = Partial<Record<PolicyName, Record<string, unknown>>> | string;
"#;

/// A text with manifests.
#[derive(Deserialize, Tsify)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// Its name in reports.
    pub name: String,
    /// The text.
    pub text: String,
    /// Whether it was found in a folder, where files of other kinds are too: without a Kubernetes object, it is skipped. Default: false.
    #[serde(default)]
    #[tsify(optional)]
    pub is_found: bool,
}

/// Options of a check, in addition to settings.
#[derive(Default, Deserialize, Tsify)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// The namespace of objects that set none. Default: `default`.
    #[tsify(optional)]
    pub namespace: Option<String>,
    /// The USER of images; `null` for an image without one. Sets `imageUser` of flyte-non-root to `check`.
    #[tsify(optional, type = "Record<string, string | null>")]
    pub image_users: Option<BTreeMap<String, Option<String>>>,
    /// The namespaces to report on; `all` for every one. Default: the namespaces with parts of Flyte.
    #[tsify(optional)]
    pub namespaces: Option<Vec<String>>,
    /// For `fix`: whether to set missing users too, to the values of flyte-non-root's setting `fill`, by default `flyte`. Default: false.
    #[tsify(optional)]
    pub fill: bool,
}

/// Manifests that are fixed.
#[derive(Serialize, Tsify)]
pub struct Fixes {
    /// The texts, in the order they were given.
    pub texts: Vec<String>,
    /// The objects that could not be fixed, and the reasons.
    pub left: Vec<NotFixed>,
    /// The report on the texts as they are now.
    pub report: Report,
}

/// An object that could not be fixed.
#[derive(Serialize, Tsify)]
pub struct NotFixed {
    /// The name of its manifest.
    pub file: String,
    /// Its first line, from 1.
    pub line: usize,
    /// The object: `Deployment flyte/flyteadmin`.
    pub object: String,
    /// The reason.
    pub reason: String,
}

/// The command's name for a text without a name.
const UNNAMED: &str = "<stdin>";

/// Checks manifests, and reports problems with their fixes. When policies ask about other objects, they see all the manifests
/// together. A document that cannot be read, or an object that cannot be checked, is in the report's `unjudged`.
///
/// Throws a `FlytewardenError` if the settings are invalid, or a parameter has the wrong type.
#[wasm_bindgen(unchecked_return_type = "Report")]
pub fn check(
    #[wasm_bindgen(unchecked_param_type = "string | Manifest[]")] manifests: JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Settings")] settings: JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Options")] options: JsValue,
) -> Result<JsValue, Error> {
    let Given { policies, settings, options, files } = Given::from_js(&manifests, &settings, &options)?;
    let check = options.check(&policies, &settings);
    let mut run = check.start(&files, Report::default());
    for file in &files {
        run.add(file);
    }
    to_js(&run.finish())
}

/// Makes the changes that findings propose, until nothing is left that needs no decision. Everything else stays unchanged.
///
/// Throws a `FlytewardenError` if the settings are invalid, or a parameter has the wrong type.
#[wasm_bindgen(unchecked_return_type = "Fixes")]
pub fn fix(
    #[wasm_bindgen(unchecked_param_type = "string | Manifest[]")] manifests: JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Settings")] settings: JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Options")] options: JsValue,
) -> Result<JsValue, Error> {
    let Given { policies, settings, options, mut files } = Given::from_js(&manifests, &settings, &options)?;
    let settings = match options.fill {
        true => settings.or("fill", "flyte", &policies).map_err(|problem| Error::new(&problem))?,
        false => settings,
    };
    let (fixed, report) = rounds::fix(&options.check(&policies, &settings), Report::default, &mut files);
    let mut fixes = Fixes { texts: Vec::with_capacity(files.len()), left: Vec::new(), report };
    for (file, fixed) in files.iter().zip(fixed.into_iter().flatten()) {
        let not_fixed =
            |Left { line, title, reason, .. }| NotFixed { file: file.name.clone(), line, object: title, reason };
        fixes.left.extend(fixed.left.into_iter().map(not_fixed));
        fixes.texts.push(fixed.text);
    }
    to_js(&fixes)
}

/// The parameters of a check.
struct Given {
    policies: Vec<Linked>,
    settings: Settings,
    options: Options,
    files: Vec<File>,
}

impl Given {
    fn from_js(manifests: &JsValue, settings: &JsValue, options: &JsValue) -> Result<Self, Error> {
        let manifests = match manifests.as_string() {
            Some(text) => vec![Manifest { name: UNNAMED.to_owned(), text, is_found: false }],
            None if Array::is_array(manifests) => from_js::<Vec<Manifest>>(manifests, "manifests")?,
            None => return Err(error("manifests: neither a text nor a list of {name, text}", "manifests", None, "")),
        };
        if manifests.is_empty() {
            return Err(error("there are no manifests", "manifests", None, ""));
        }
        let options = from_js::<Option<Options>>(options, "options")?.unwrap_or_default();
        let policies = policies::linked();
        let mut settings = read_settings(settings, &policies)?;
        if options.image_users.is_some() {
            settings = settings.or("imageUser", "check", &policies).map_err(|problem| Error::new(&problem))?;
        }
        let file = |Manifest { name, text, is_found }| File { is_found, ..File::new(name, Ok(text)) };
        Ok(Self { policies, settings, options, files: manifests.into_iter().map(file).collect() })
    }
}

impl Options {
    fn check<'c, P>(&'c self, policies: &'c [P], settings: &'c Settings) -> Check<'c, P> {
        Check {
            policies,
            settings,
            namespace: self.namespace.as_deref().unwrap_or("default"),
            images: self.image_users.clone().map(Images::from_users).unwrap_or_default(),
            namespaces: match &self.namespaces {
                None => Namespaces::Flytes,
                Some(named) if named.iter().any(|name| name == "all") => Namespaces::All,
                Some(named) => Namespaces::Named(named.clone()),
            },
        }
    }
}

/// The policies, with the settings that each of them takes.
#[wasm_bindgen(unchecked_return_type = "PolicyInfo[]")]
pub fn policies() -> JsValue {
    JSON::parse(&info()).unwrap_or_default()
}

/// Sets the package's other module as the one that checks certificates. Only for the package's own scripts.
///
/// Throws an `Error` if that module has another version.
#[wasm_bindgen(js_name = usePki, skip_typescript)]
pub fn use_pki(module: pki::Module) -> Result<(), Error> {
    pki::set(module).map_err(|reason| Error::new(&reason))
}

/// Checks the settings of each policy.
///
/// Throws a `FlytewardenError` if a policy rejects its settings, or if a policy does not exist.
#[wasm_bindgen(js_name = validateSettings)]
pub fn validate_settings(#[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue) -> Result<(), Error> {
    read_settings(&settings, &policies::linked()).map(|_| ())
}

/// Applies a finding's edits to its object, and returns the manifest's new text. Everything else stays unchanged.
///
/// Throws a `FlytewardenError` if the edits cannot be applied.
#[wasm_bindgen]
pub fn mend(
    #[wasm_bindgen(unchecked_param_type = "string")] manifest: JsValue,
    #[wasm_bindgen(unchecked_param_type = "Place")] place: JsValue,
    #[wasm_bindgen(unchecked_param_type = "Edit[]")] edits: JsValue,
) -> Result<String, Error> {
    let manifest = manifest.as_string().ok_or_else(|| error("manifest: no text", "manifest", None, ""))?;
    let (place, edits): (Place, Vec<Edit>) = (from_js(&place, "place")?, from_js(&edits, "edits")?);
    edit::mended(&manifest, &place, &edits).map_err(|reason| error(&reason, &place.file, Some(place.line), ""))
}

fn read_settings(settings: &JsValue, policies: &[impl flytewarden_offline::check::Policy]) -> Result<Settings, Error> {
    let read = match settings.as_string() {
        Some(text) => Settings::parse(&text, policies).map_err(|wrong| (Some(wrong.line), wrong)),
        None => Settings::read_json(&json_of(settings, "settings")?, policies).map_err(|wrong| (None, wrong)),
    };
    read.map_err(|(line, wrong)| error(&wrong.problem, "settings", line, &wrong.path))
}

/// A value as JSON; `null` for undefined.
fn json_of(value: &JsValue, name: &str) -> Result<String, Error> {
    if value.is_undefined() {
        return Ok("null".to_owned());
    }
    // JSON turns a Map, a Promise and the like into an empty object, and leaves out functions.
    let mut lost = None;
    let mut look = |_: JsString, value: JsValue| {
        lost = lost.take().or_else(|| foreign(&value));
        Ok(Some(value))
    };
    let json = JSON::stringify_with_replacer_func(value, &mut look, None);
    let problem = match (json.ok().and_then(|json| json.as_string()), lost) {
        (_, Some(what)) => format!("{name}: a {what} where a plain object or a list belongs"),
        (Some(json), None) => return Ok(json),
        (None, None) => format!("{name}: no JSON"),
    };
    Err(error(&problem, name, None, ""))
}

/// The type name of a value that is neither a plain object nor a list.
fn foreign(value: &JsValue) -> Option<String> {
    if value.is_function() {
        return Some("function".to_owned());
    }
    let tag = || Reflect::get(value, &Symbol::to_string_tag()).ok()?.as_string();
    value.is_object().then(tag).flatten()
}

fn from_js<T: DeserializeOwned>(value: &JsValue, name: &str) -> Result<T, Error> {
    serde_json::from_str(&json_of(value, name)?).map_err(|problem| {
        let problem = problem.to_string();
        let problem = problem.rsplit_once(" at line ").map_or(&*problem, |(problem, _)| problem);
        error(&format!("{name}: {problem}"), name, None, "")
    })
}

fn to_js(value: &impl Serialize) -> Result<JsValue, Error> {
    let json = serde_json::to_string(value).map_err(|problem| Error::new(&problem.to_string()))?;
    JSON::parse(&json).map_err(|_| Error::new("the report is no JSON"))
}

fn error(message: &str, file: &str, line: Option<usize>, path: &str) -> Error {
    let error = Error::new(message);
    // Cannot fail: a new object takes any property.
    let set = |name: &str, value: JsValue| Reflect::set(&error, &name.into(), &value).is_ok();
    set("file", file.into());
    if let Some(line) = line {
        set("line", (line as u32).into());
    }
    if !path.is_empty() {
        set("path", path.into());
    }
    error
}
