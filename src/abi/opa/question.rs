//! The question, in any of the shapes that engines send.

use serde_json::value::RawValue;

use crate::{
    admission::{self, AdmissionRequest},
    edit,
    text::Text,
    verdict::Unjudged,
    view::view,
};

view! {
    /// Gatekeeper's `{"review": ..., "parameters": ...}`, an AdmissionReview, or Kubewarden's `{"request": ...}`.
    struct Input<'a> {
        "review" => review: &'a RawValue,
        "request" => request: &'a RawValue,
        "parameters" => parameters: &'a RawValue,
    }
}

/// A request with its settings.
pub(super) struct Question<'a> {
    pub(super) request: AdmissionRequest<'a>,
    /// The settings of this request. Without them, those in `data` apply.
    pub(super) settings: Option<&'a RawValue>,
}

/// The `uid` for the answer, even if the request cannot be read: the API server discards an answer without it.
pub(super) fn uid(input: &str) -> Text<'_> {
    let text = |request| serde_json::from_str(edit::at(input, &[request, "uid"])?).ok();
    text("request").or_else(|| text("review")).unwrap_or(Text::constant(""))
}

impl<'a> Question<'a> {
    /// Reads an input.
    ///
    /// # Errors
    ///
    /// It has none of these shapes.
    pub(super) fn parse(input: &'a str) -> Result<Self, Unjudged> {
        let Input { review, request, parameters, .. } = admission::read_str(input)?;
        // Gatekeeper's audit sends existing objects without an operation.
        let (at, request, is_audited) = match (review, request) {
            (Some(review), _) => ("review", review, true),
            (None, Some(request)) => ("request", request, false),
            (None, None) => {
                let reason = "the input has neither a review nor a request".to_owned();
                return Err(Unjudged { path: String::new(), reason });
            }
        };
        let below = |unjudged: Unjudged| unjudged.below(at);
        let request: AdmissionRequest = admission::read_fields(request).map_err(below)?;
        let request = if is_audited { request.or_create() } else { request };
        Ok(Self { request, settings: parameters })
    }
}
