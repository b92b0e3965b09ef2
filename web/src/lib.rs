//! The door for JavaScript: the policies in a browser and in Node, for whoever has manifests and no engine.
//!
//! A thin one: what turns text into objects and answers into a report is `flytewarden-offline`'s, as for the command. Values
//! cross as JSON; `wasm-bindgen` writes the JavaScript around that, and `tsify` TypeScript's types from the Rust ones.

mod pki;
mod policies;

use std::collections::BTreeMap;

use flytewarden_offline::{
    check::{Check, File},
    edit::{self, Edit},
    images::Images,
    linked::info,
    report::{Namespaces, Place, Report},
    settings::Settings,
};
use js_sys::{Array, Error, JSON, JsString, Reflect, Symbol};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tsify::Tsify;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** The policies' settings, by policy name, as the command's `--settings` has them. */
export type Settings = Record<string, Record<string, unknown>>;

/** What is thrown: where something is wrong, as far as that is known. */
export interface FlytewardenError extends Error {
    /** The manifests' name, or `settings`, or `options`. */
    file: string;
    /** The line in it, from 1. */
    line?: number;
    /** Where in it, e.g. `flyte-non-root.level`. */
    path?: string;
}
"#;

/// A text that holds manifests.
#[derive(Deserialize, Tsify)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What reports call it.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// What to check with, beside settings.
#[derive(Default, Deserialize, Tsify)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// The namespace of objects that name none; `default` where absent.
    #[tsify(optional)]
    pub namespace: Option<String>,
    /// The USER of images, for the setting `imageUser` of flyte-non-root, which is `check` then; `null` where an image has none.
    #[tsify(optional, type = "Record<string, string | null>")]
    pub image_users: Option<BTreeMap<String, Option<String>>>,
    /// The namespaces to report on, `all` for every one; those in which something of Flyte's is where absent.
    #[tsify(optional)]
    pub namespaces: Option<Vec<String>>,
}

/// What the command calls a text without a name.
const UNNAMED: &str = "<stdin>";

/// Says what is wrong with manifests, and what mends it. What policies ask about other objects, all the manifests together
/// answer. A document that cannot be read, or an object that cannot be judged, is in the report's `unjudged`.
///
/// Throws a `FlytewardenError` where the settings are wrong, or a parameter has another type.
#[wasm_bindgen(unchecked_return_type = "Report")]
pub fn check(
    #[wasm_bindgen(unchecked_param_type = "string | Manifest[]")] manifests: JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Settings")] settings: JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "Options")] options: JsValue,
) -> Result<JsValue, Error> {
    let manifests = match manifests.as_string() {
        Some(text) => vec![Manifest { name: UNNAMED.to_owned(), text }],
        None if Array::is_array(&manifests) => from_js::<Vec<Manifest>>(&manifests, "manifests")?,
        None => return Err(error("manifests: neither a text nor a list of {name, text}", "manifests", None, "")),
    };
    if manifests.is_empty() {
        return Err(error("there are no manifests", "manifests", None, ""));
    }
    let Options { namespace, image_users, namespaces } =
        from_js::<Option<Options>>(&options, "options")?.unwrap_or_default();
    let policies = policies::linked();
    let mut settings = read(&settings, &policies)?;
    if image_users.is_some() {
        settings = settings.or("imageUser", "check", &policies).map_err(|problem| Error::new(&problem))?;
    }
    let check = Check {
        policies: &policies,
        settings: &settings,
        namespace: namespace.as_deref().unwrap_or("default"),
        images: image_users.map(Images::of).unwrap_or_default(),
        namespaces: match namespaces {
            None => Namespaces::Flytes,
            Some(named) if named.iter().any(|name| name == "all") => Namespaces::All,
            Some(named) => Namespaces::Named(named),
        },
    };
    let files: Vec<File> = manifests.into_iter().map(|Manifest { name, text }| File::new(name, Ok(text))).collect();
    let mut run = check.start(&files, Report::default());
    for file in &files {
        run.add(file);
    }
    to_js(&run.finish())
}

/// The policies, and the settings each of them takes.
#[wasm_bindgen(unchecked_return_type = "PolicyInfo[]")]
pub fn policies() -> JsValue {
    JSON::parse(&info()).unwrap_or_default()
}

/// Has certificates checked with what the other module of the package exports. It is for the package's own scripts.
///
/// Throws an `Error` where that is of another version.
#[wasm_bindgen(js_name = usePki, skip_typescript)]
pub fn use_pki(module: pki::Module) -> Result<(), Error> {
    pki::set(module).map_err(|reason| Error::new(&reason))
}

/// Has each policy check its own settings.
///
/// Throws a `FlytewardenError` where a policy does not take them, or where there is no such policy.
#[wasm_bindgen(js_name = validateSettings)]
pub fn validate_settings(#[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue) -> Result<(), Error> {
    read(&settings, &policies::linked()).map(|_| ())
}

/// A manifest's text with the edits of a finding made to the object it is about. All else stays as it is.
///
/// Throws a `FlytewardenError` where they cannot be made.
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

fn read(settings: &JsValue, policies: &[impl flytewarden_offline::check::Policy]) -> Result<Settings, Error> {
    Settings::read_json(&json_of(settings, "settings")?, policies)
        .map_err(|wrong| error(&wrong.problem, "settings", None, &wrong.path))
}

/// A value as JSON; `null` for undefined.
fn json_of(value: &JsValue, name: &str) -> Result<String, Error> {
    if value.is_undefined() {
        return Ok("null".to_owned());
    }
    // JSON has a Map, a Promise and what else there is for an empty object, and leaves functions out.
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

/// What an object is called that is no plain one and no list.
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
    // An object that was just made takes any property.
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
