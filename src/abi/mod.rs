//! The doors: how engines call the policies.
//!
//! [`Module`] answers Kubewarden's three questions from bytes to answers. What carries those bytes is a thin door of its
//! own: `wapc` for Kubewarden and the `flytewarden` command.

#[cfg(all(
    target_family = "wasm",
    target_os = "wasi",
    any(feature = "cluster-objects", feature = "flyte-non-root-image-user")
))]
mod host;
#[cfg(all(target_family = "wasm", target_os = "wasi"))]
mod wapc;

use std::collections::BTreeMap;

use kubewarden_policy_sdk::settings::SettingsValidationResponse;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    admission::{self, Payload},
    cluster::Cluster,
    policy::Policy,
    settings::{InvalidSettings, nearest},
    text::Text,
    update,
    verdict::{self, Unjudged, Verdict},
};

/// The policies a module carries, and so the shape of its settings.
pub enum Module<'p> {
    /// One policy. The settings are its own.
    One(&'p dyn Policy),
    /// Several policies; each request goes to those it concerns. The settings are a map by policy name.
    Several(&'p [&'p dyn Policy]),
}

/// Every policy this build carries, but for those that are another's with more to ask: [`MORE_POLICIES`].
pub const POLICIES: &[&dyn Policy] = &[
    #[cfg(feature = "flyte-admin-cors")]
    &crate::admin_cors::AdminCors,
    #[cfg(feature = "flyte-console-url")]
    &crate::console_url::ConsoleUrl,
    #[cfg(feature = "flyte-non-root")]
    &crate::non_root::NonRoot::POLICY,
    #[cfg(feature = "flyte-oauth-tls")]
    &crate::oauth_tls::OauthTls,
];

/// The policies that ask their host more than their likes do, and so are modules of their own.
pub const MORE_POLICIES: &[&dyn Policy] = &[
    #[cfg(feature = "flyte-non-root-image-user")]
    &crate::non_root::NonRoot::IMAGE_USER,
];

/// HTTP's "Bad Request": the code of an answer to what cannot be judged.
const BAD_REQUEST: u16 = 400;

impl Module<'static> {
    /// The module this build is, by its cargo features: `all`, or one policy's.
    pub const BUILT: Self = match (POLICIES, MORE_POLICIES) {
        _ if cfg!(feature = "all") => Self::Several(POLICIES),
        ([policy, ..], _) | (_, [policy, ..]) => Self::One(*policy),
        _ => Self::Several(POLICIES),
    };
}

impl Module<'_> {
    /// Answers `validate`: `{"request": ..., "settings": ...}`.
    ///
    /// Never an error and never a panic: an engine turns both into a failure that tells nobody why. What cannot be
    /// judged is refused, with code 400 and the reason. The audit annotations `violations`, `notices` and `unjudged` hold
    /// as JSON what the message says in words.
    pub fn validate(&self, payload: &[u8], cluster: &dyn Cluster) -> Answer {
        let mut verdict = Verdict::default();
        let mut unjudged = Vec::new();
        if let Err(failure) = self.judge(payload, cluster, &mut verdict, &mut unjudged) {
            unjudged.push(failure);
        }
        Answer::of(verdict, &unjudged)
    }

    /// Adds what every concerned policy says to `verdict`, or to `unjudged`.
    fn judge(
        &self,
        payload: &[u8],
        cluster: &dyn Cluster,
        verdict: &mut Verdict,
        unjudged: &mut Vec<Unjudged>,
    ) -> Result<(), Unjudged> {
        let fail = |path: &str, reason: String| Unjudged { path: path.to_owned(), reason };
        let payload = str::from_utf8(payload).map_err(|error| fail("", format!("not UTF-8: {error}")))?;
        let Payload { request, settings, .. } = admission::read_str(payload)?;
        let request = request.ok_or_else(|| fail("request", "missing".to_owned()))?;
        for (field, value) in [("operation", request.operation()), ("kind.kind", request.kind().name())] {
            if value.is_empty() {
                return Err(fail(&format!("request.{field}"), "missing".to_owned()));
            }
        }
        if request.operation() == "DELETE" {
            return Ok(());
        }
        for Carried { policy, settings } in self.carried(settings)? {
            if policy.concerns(request.kind()) {
                match update::judge(policy, &request, settings, cluster) {
                    Ok(judged) => {
                        verdict.violations.append(judged.violations);
                        verdict.notices.append(judged.notices);
                        verdict.object = judged.object.or(verdict.object.take());
                    }
                    // Two policies that read the same field say the same of it.
                    Err(failure) if unjudged.contains(&failure) => {}
                    Err(failure) => unjudged.push(failure),
                }
            }
        }
        Ok(())
    }

    /// Answers `validate_settings`: the settings alone.
    pub fn validate_settings(&self, payload: &[u8]) -> SettingsValidationResponse {
        let problem = str::from_utf8(payload)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str::<Option<&RawValue>>(text).map_err(|error| error.to_string()))
            .map_err(|error| InvalidSettings(format!("the settings are not JSON: {error}")))
            .and_then(|settings| {
                self.carried(settings)?.into_iter().try_for_each(|Carried { policy, settings }| {
                    policy.check_settings(settings).map_err(|error| match self {
                        Self::One(_) => error,
                        Self::Several(_) => InvalidSettings::at(policy.name(), error),
                    })
                })
            })
            .err();
        SettingsValidationResponse { valid: problem.is_none(), message: problem.map(|problem| problem.0) }
    }

    /// Gives each policy its own part of the settings.
    fn carried<'s>(&self, settings: Option<&'s RawValue>) -> Result<Vec<Carried<'_, 's>>, InvalidSettings> {
        let policies = match self {
            Self::One(policy) => return Ok(vec![Carried { policy: *policy, settings }]),
            Self::Several(policies) => policies,
        };
        let by_name: BTreeMap<Text, &RawValue> = match settings {
            None => BTreeMap::new(),
            Some(settings) => serde_json::from_str(settings.get())
                .map_err(|_| InvalidSettings("expected a map from policy names to their settings".to_owned()))?,
        };
        let names = || policies.iter().map(|policy| policy.name());
        for name in by_name.keys() {
            if !names().any(|known| known == &**name) {
                let hint = nearest(name, names()).map(|known| format!("; did you mean `{known}`?"));
                let hint = hint.unwrap_or_else(|| format!("; there are {}", names().collect::<Vec<_>>().join(", ")));
                return Err(InvalidSettings(format!("unknown policy `{}`{hint}", &**name)));
            }
        }
        let own = |policy: &&dyn Policy| by_name.get(policy.name()).copied().filter(|own| own.get() != "null");
        Ok(policies.iter().map(|policy| Carried { policy: *policy, settings: own(policy) }).collect())
    }
}

/// A policy and its own part of the module's settings.
struct Carried<'p, 's> {
    policy: &'p dyn Policy,
    settings: Option<&'s RawValue>,
}

/// The answer to `validate`: Kubewarden's `ValidationResponse`. The SDK's own would hold the changed object as a tree, which
/// forgets how numbers were written.
#[derive(Debug, Default, Serialize)]
pub struct Answer {
    /// Whether the request is let in.
    pub accepted: bool,
    /// Why not.
    pub message: Option<String>,
    /// The HTTP status code of a refusal.
    pub code: Option<u16>,
    /// The object in place of the request's, as JSON. A refusal has none: Kubewarden would not say the reason.
    pub mutated_object: Option<Box<RawValue>>,
    /// For the audit log.
    pub audit_annotations: Option<BTreeMap<&'static str, String>>,
    /// For whoever makes the request.
    pub warnings: Option<Vec<String>>,
}

impl Answer {
    /// Puts what the policies said into words.
    fn of(verdict: Verdict, unjudged: &[Unjudged]) -> Self {
        let accepted = verdict.violations.is_empty() && unjudged.is_empty();
        let mut lines: Vec<String> = unjudged.iter().map(Unjudged::to_string).collect();
        let mut annotations = BTreeMap::new();
        if !unjudged.is_empty() {
            annotations.insert("unjudged", json(unjudged));
        }
        if !verdict.violations.is_empty() {
            lines.push(verdict::message(&verdict.violations));
            annotations.insert("violations", json(verdict.violations.listed()));
        }
        if !verdict.notices.is_empty() {
            annotations.insert("notices", json(verdict.notices.listed()));
        }
        for (name, more) in [("moreViolations", verdict.violations.more()), ("moreNotices", verdict.notices.more())] {
            if more > 0 {
                annotations.insert(name, more.to_string());
            }
        }
        let warnings = verdict.notices.listed().iter().map(ToString::to_string).collect::<Vec<_>>();
        Self {
            accepted,
            message: (!accepted).then(|| lines.join("\n")),
            code: (!unjudged.is_empty()).then_some(BAD_REQUEST),
            mutated_object: verdict.object.filter(|_| accepted),
            audit_annotations: (!annotations.is_empty()).then_some(annotations),
            warnings: (!warnings.is_empty()).then_some(warnings),
        }
    }
}

fn json<T: serde::Serialize>(findings: &[T]) -> String {
    serde_json::to_string(findings).unwrap_or_default()
}
