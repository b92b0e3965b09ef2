//! A report in the command's other formats, for JavaScript. A separate module, fetched only if somebody asks for one of them.

use std::fmt;

use anstream::StripStream;
use flytewarden_formats::{junit, markdown, sarif, text};
use flytewarden_offline::report::Report;
use js_sys::{Error, JSON};
use wasm_bindgen::prelude::*;

/// The report as the command prints it, without colour.
#[wasm_bindgen(js_name = toText)]
pub fn to_text(#[wasm_bindgen(unchecked_param_type = "Report")] report: &JsValue) -> Result<String, Error> {
    let mut out = StripStream::new(Vec::new());
    text::text(&read_report(report)?, &mut out).map_err(wrong)?;
    String::from_utf8(out.into_inner()).map_err(wrong)
}

/// The report as Markdown, for pull requests and job summaries.
#[wasm_bindgen(js_name = toMarkdown)]
pub fn to_markdown(#[wasm_bindgen(unchecked_param_type = "Report")] report: &JsValue) -> Result<String, Error> {
    Ok(markdown::markdown(&read_report(report)?))
}

/// The report as JUnit XML.
#[wasm_bindgen(js_name = toJunit)]
pub fn to_junit(#[wasm_bindgen(unchecked_param_type = "Report")] report: &JsValue) -> Result<String, Error> {
    junit::junit(&read_report(report)?).map_err(wrong)
}

/// The report as a log of SARIF 2.1.0.
#[wasm_bindgen(js_name = toSarif, unchecked_return_type = "object")]
pub fn to_sarif(#[wasm_bindgen(unchecked_param_type = "Report")] report: &JsValue) -> Result<JsValue, Error> {
    let log = sarif::sarif(&read_report(report)?, |_| None);
    JSON::parse(&serde_json::to_string(&log).map_err(wrong)?).map_err(|_| Error::new("the log is not JSON"))
}

fn read_report(report: &JsValue) -> Result<Report, Error> {
    let json = JSON::stringify(report).ok().and_then(|json| json.as_string());
    let json = json.ok_or_else(|| Error::new("report: not a report of this package"))?;
    serde_json::from_str(&json)
        .map_err(|problem| Error::new(&format!("report: not a report of this package: {problem}")))
}

fn wrong(problem: impl fmt::Display) -> Error {
    Error::new(&problem.to_string())
}
