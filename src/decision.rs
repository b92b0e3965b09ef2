//! From the bytes of a question to an answer, whoever carries both: which policies a request concerns, and their settings.

use std::fmt;

use serde_json::value::RawValue;

#[cfg(feature = "admin-config")]
use crate::host::Remembering;
use crate::{
    admission::{self, AdmissionRequest, Payload},
    answer::Answer,
    host::Host,
    members::Members,
    policy::{Declared, Policy},
    rule::{Rule, RuleName, Severity},
    settings::{InvalidSettings, nearest},
    update::{self, NOT_JUDGED},
    verdict::{Shortened, Unjudged, Verdict},
};

/// The policies that are asked together, and so the shape of their settings.
pub enum Policies<'p> {
    /// One policy. The settings are its own.
    One(&'p dyn Policy),
    /// Several policies; each request goes to those it concerns. The settings are a map by policy name.
    Several(&'p [&'p dyn Policy]),
}

/// Every policy this build carries, as it is declared. A variant comes behind what it is a variant of.
pub const DECLARED: &[Declared] = &[
    #[cfg(feature = "flyte-admin-cors")]
    crate::admin_cors::DECLARED,
    #[cfg(feature = "flyte-console-url")]
    crate::console_url::DECLARED,
    #[cfg(feature = "flyte-non-root")]
    crate::non_root::DECLARED,
    #[cfg(feature = "flyte-non-root-image-user")]
    crate::non_root::DECLARED_WITH_IMAGES,
    #[cfg(feature = "flyte-oauth-tls")]
    crate::oauth_tls::DECLARED,
    #[cfg(feature = "flyte2-exposure")]
    crate::flyte2_exposure::DECLARED,
];

/// The most bytes that the module which carries every policy may have, as [`Declared::most_bytes`].
pub const MOST_BYTES_OF_ALL: usize = 1_350_000;

/// Every policy but the variants: those that a module carries together. Apart from what is declared of them, so that a module
/// does not carry that too.
pub const POLICIES: &[&dyn Policy] = &policies::<{ count(false) }>(false);

/// The variants, each of which is a module by itself.
pub const VARIANTS: &[&dyn Policy] = &policies::<{ count(true) }>(true);

/// Every policy, with the name of the one that it is a variant of, if it is one: without the texts that are declared of it.
pub const WITH_VARIANTS: &[(&dyn Policy, Option<&str>)] = &{
    let mut index = 0;
    let mut policies = [const { (DECLARED[0].policy, DECLARED[0].variant_of) }; DECLARED.len()];
    while index < DECLARED.len() {
        policies[index] = (DECLARED[index].policy, DECLARED[index].variant_of);
        index += 1;
    }
    policies
};

/// Every policy but the variants, as it is declared.
pub fn declared() -> impl Iterator<Item = &'static Declared> {
    DECLARED.iter().filter(|declared| declared.variant_of.is_none())
}

/// What is declared of a rule, by its policy's name and its own.
pub fn rule(policy: &str, rule: &str) -> Option<Rule> {
    let declared = declared().find(|declared| declared.policy.name() == policy)?;
    let of_every_policy = Rule { name: RuleName { policy: declared.policy.name(), ..NOT_JUDGED.name }, ..NOT_JUDGED };
    declared.rules.iter().copied().chain([of_every_policy]).find(|other| other.name.rule == rule)
}

/// Every policy, with the severity of each of its rules: without the texts that are declared of it.
const SEVERITIES: &[(&dyn Policy, &[(&str, Severity)])] = &{
    let mut index = 0;
    let mut severities = [const { (DECLARED[0].policy, DECLARED[0].severities) }; DECLARED.len()];
    while index < DECLARED.len() {
        severities[index] = (DECLARED[index].policy, DECLARED[index].severities);
        index += 1;
    }
    severities
};

/// How bad the findings of a rule are, by its policy's name and its own.
pub fn severity(policy: &str, rule: &str) -> Option<Severity> {
    let (_, rules) = SEVERITIES.iter().find(|(own, _)| own.name() == policy)?;
    rules.iter().find(|(name, _)| *name == rule).map(|(_, severity)| *severity)
}

/// How many policies are variants, or are none.
const fn count(variants: bool) -> usize {
    let (mut index, mut count) = (0, 0);
    while index < DECLARED.len() {
        if DECLARED[index].variant_of.is_some() == variants {
            count += 1;
        }
        index += 1;
    }
    count
}

const fn policies<const COUNT: usize>(variants: bool) -> [&'static dyn Policy; COUNT] {
    let (mut index, mut count) = (0, 0);
    let mut policies = [const { DECLARED[0].policy }; COUNT];
    while index < DECLARED.len() {
        if DECLARED[index].variant_of.is_some() == variants {
            policies[count] = DECLARED[index].policy;
            count += 1;
        }
        index += 1;
    }
    policies
}

impl Policies<'static> {
    /// The module this build is, by its cargo features: `all`, or one policy's.
    pub const BUILT: Self = match (POLICIES, VARIANTS) {
        _ if cfg!(feature = "all") => Self::Several(POLICIES),
        ([policy, ..], _) | (_, [policy, ..]) => Self::One(*policy),
        _ => Self::Several(POLICIES),
    };
}

impl Policies<'_> {
    /// Answers `validate`: `{"request": ..., "settings": ...}`.
    ///
    /// Never an error and never a panic: an engine turns both into a failure that tells nobody why. What cannot be
    /// judged is refused, with code 400 and the reason. The audit annotations `violations`, `notices` and `unjudged` hold
    /// as JSON what the message says in words. `judged` holds the names of the [sentences](crate::sentence::Sentence) that the
    /// object shows, and is not there where every policy passed the object over.
    pub fn validate(&self, payload: &[u8], host: &dyn Host) -> Answer {
        let fail = |path: &str, reason: String| Unjudged { path: path.to_owned(), reason };
        let decided =
            str::from_utf8(payload).map_err(|error| fail("", format!("not UTF-8: {error}"))).and_then(|text| {
                let Payload { request, settings, .. } = admission::read_str(text)?;
                let request = request.ok_or_else(|| fail("request", "missing".to_owned()))?;
                Ok(self.decide(&request, settings, host))
            });
        Answer::of(decided.unwrap_or_else(Decision::from))
    }

    /// Has every policy that a request concerns decide about it.
    pub(crate) fn decide(&self, request: &AdmissionRequest, settings: Option<&RawValue>, host: &dyn Host) -> Decision {
        let mut decision = Decision::default();
        if let Err(failure) = self.judge(request, settings, host, &mut decision) {
            decision.unjudged.push(failure);
        }
        decision
    }

    /// Adds what every concerned policy says to a decision.
    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        host: &dyn Host,
        Decision { verdict, unjudged }: &mut Decision,
    ) -> Result<(), Unjudged> {
        for (field, value) in [("operation", request.operation()), ("kind.kind", request.kind().name())] {
            if value.is_empty() {
                return Err(Unjudged { path: format!("request.{field}"), reason: "missing".to_owned() });
            }
        }
        if request.operation() == "DELETE" {
            return Ok(());
        }
        #[cfg(feature = "admin-config")]
        let host = &Remembering::new(host);
        for Carried { policy, settings } in self.carried(settings)? {
            if policy.concerns(request.kind()) {
                match update::judge(policy, request, settings, host) {
                    Ok(judged) => {
                        verdict.violations.append(judged.violations);
                        verdict.notices.append(judged.notices);
                        verdict.seen.and(judged.seen);
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

    /// Answers `validate_settings`: whether the settings, as JSON, mean something.
    ///
    /// # Errors
    ///
    /// What is wrong, with the path to it.
    pub fn validate_settings(&self, payload: &[u8]) -> Result<(), InvalidSettings> {
        let no_json = |error: &dyn fmt::Display| InvalidSettings::at("", format!("the settings are not JSON: {error}"));
        let text = str::from_utf8(payload).map_err(|error| no_json(&error))?;
        let settings = serde_json::from_str::<Option<&RawValue>>(text).map_err(|error| no_json(&error))?;
        self.carried(settings)?.into_iter().try_for_each(|Carried { policy, settings }| {
            policy.check_settings(settings).map_err(|error| match self {
                Self::One(_) => error,
                Self::Several(_) => error.below(policy.name()),
            })
        })
    }

    /// Gives each policy its own part of the settings.
    fn carried<'s>(&self, settings: Option<&'s RawValue>) -> Result<Vec<Carried<'_, 's>>, InvalidSettings> {
        let policies = match self {
            Self::One(policy) => return Ok(vec![Carried { policy: *policy, settings }]),
            Self::Several(policies) => policies,
        };
        let by_name: Members<&RawValue> = match settings {
            None => Members::default(),
            Some(settings) => serde_json::from_str(settings.get())
                .map_err(|_| InvalidSettings::at("", "must be a map from policy names to their settings"))?,
        };
        let names = || policies.iter().map(|policy| policy.name());
        for name in by_name.keys() {
            if !names().any(|known| known == &**name) {
                let hint = nearest(name, names()).map(|known| format!("; did you mean `{known}`?"));
                let hint =
                    hint.unwrap_or_else(|| format!("; the policies are {}", names().collect::<Vec<_>>().join(", ")));
                return Err(InvalidSettings::at("", format!("unknown policy `{}`{hint}", Shortened(name))));
            }
        }
        let own = |policy: &&dyn Policy| by_name.get(policy.name()).copied().filter(|own| own.get() != "null");
        Ok(policies.iter().map(|policy| Carried { policy: *policy, settings: own(policy) }).collect())
    }
}

/// What the policies decided about a request.
#[derive(Default)]
pub(crate) struct Decision {
    /// What they say of it.
    pub(crate) verdict: Verdict,
    /// What of it could not be judged.
    pub(crate) unjudged: Vec<Unjudged>,
}

impl From<Unjudged> for Decision {
    fn from(unjudged: Unjudged) -> Self {
        Self { verdict: Verdict::default(), unjudged: vec![unjudged] }
    }
}

/// A policy and its own part of the module's settings.
struct Carried<'p, 's> {
    policy: &'p dyn Policy,
    settings: Option<&'s RawValue>,
}
