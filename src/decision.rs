//! Turns the bytes of a question into an answer, for every engine: selects the policies and passes each its own settings.

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
    rule::{Rule, RuleName, Severities, Severity},
    settings::{InvalidSettings, nearest},
    update::{self, NOT_JUDGED},
    verdict::{Shortened, Unjudged, Verdict},
};

/// The policies that are asked together, which determines the shape of their settings.
pub enum Policies<'p> {
    /// One policy. The settings are its own.
    One(&'p dyn Policy),
    /// Several policies; each request goes to those that it concerns. The settings are a map by policy name.
    Several(&'p [&'p dyn Policy]),
}

/// Every policy of this build with its description. A variant comes after the policy that it is a variant of.
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

/// The largest size of the module with every policy, in bytes, as [`Declared::most_bytes`].
pub const MOST_BYTES_OF_ALL: usize = 1_370_000;

/// Every policy except the variants: the policies of the module that has all. Separate from [`DECLARED`], so that a module does
/// not contain the descriptions too.
pub const POLICIES: &[&dyn Policy] = &policies::<{ count(false) }>(false);

/// The variants. Each has a module of its own.
pub const VARIANTS: &[&dyn Policy] = &policies::<{ count(true) }>(true);

/// Every policy, with the name of the policy that it is a variant of, if any. Without their descriptions.
pub const WITH_VARIANTS: &[(&dyn Policy, Option<&str>)] = &{
    let mut index = 0;
    let mut policies = [const { (DECLARED[0].policy, DECLARED[0].variant_of) }; DECLARED.len()];
    while index < DECLARED.len() {
        policies[index] = (DECLARED[index].policy, DECLARED[index].variant_of);
        index += 1;
    }
    policies
};

/// Every policy except the variants, with its description.
pub fn declared() -> impl Iterator<Item = &'static Declared> {
    DECLARED.iter().filter(|declared| declared.variant_of.is_none())
}

/// The rules of every policy: apart from the policies, so that code which only explains rules does not contain them.
const RULES: &[&[Rule]] = &{
    let mut index = 0;
    let mut rules = [const { DECLARED[0].rules }; DECLARED.len()];
    while index < DECLARED.len() {
        rules[index] = DECLARED[index].rules;
        index += 1;
    }
    rules
};

/// Looks up a rule by the name of its policy and its own name.
pub fn rule(policy: &str, rule: &str) -> Option<Rule> {
    let mut of_policy = RULES.iter().copied().flatten().filter(|other| other.name.policy == policy);
    let first = of_policy.clone().next()?;
    if rule == NOT_JUDGED.name.rule {
        let name = RuleName { policy: first.name.policy, ..NOT_JUDGED.name };
        return Some(Rule { name, ..NOT_JUDGED });
    }
    of_policy.find(|other| other.name.rule == rule).copied()
}

/// Every policy, with the severity of each of its rules. A build that needs no more does not contain the rules' texts.
const SEVERITIES: &[(&dyn Policy, Severities)] = &{
    let mut index = 0;
    let mut severities = [const { (DECLARED[0].policy, DECLARED[0].severities) }; DECLARED.len()];
    while index < DECLARED.len() {
        severities[index] = (DECLARED[index].policy, DECLARED[index].severities);
        index += 1;
    }
    severities
};

/// Looks up the severity of a rule by the name of its policy and its own name.
pub fn severity(policy: &str, rule: &str) -> Option<Severity> {
    let (_, rules) = SEVERITIES.iter().find(|(own, _)| own.name() == policy)?;
    rules.iter().find(|(name, _)| *name == rule).map(|(_, severity)| *severity)
}

/// The number of variants, or of the other policies.
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
    /// The policies of the module that this build makes, by its cargo features: `all`, or one policy's.
    pub const BUILT: Self = match (POLICIES, VARIANTS) {
        _ if cfg!(feature = "all") => Self::Several(POLICIES),
        ([policy, ..], _) | (_, [policy, ..]) => Self::One(*policy),
        _ => Self::Several(POLICIES),
    };
}

impl Policies<'_> {
    /// Answers `validate`: `{"request": ..., "settings": ...}`.
    ///
    /// Never returns an error and never panics: an engine turns both into a failure without a reason. A request that cannot be
    /// checked is rejected with code 400 and the reason. The audit annotations `violations`, `notices` and `unjudged` hold the
    /// message's content as JSON. `judged` holds the names of the [sentences](crate::sentence::Sentence) that the object proves;
    /// it is absent if no policy checked the object.
    pub fn validate(&self, payload: &[u8], host: &dyn Host) -> Answer {
        let fail = |path: &str, reason: String| Unjudged { path: path.to_owned(), reason };
        let decided =
            str::from_utf8(payload).map_err(|error| fail("", format!("not UTF-8: {error}"))).and_then(|text| {
                let Payload { request, settings, .. } = admission::read_str(text)?;
                let request = request.ok_or_else(|| fail("request", "missing".to_owned()))?;
                Ok(self.decide(&request, settings, host))
            });
        Answer::from_decision(decided.unwrap_or_else(Decision::from))
    }

    /// Runs every policy that a request concerns.
    pub(crate) fn decide(&self, request: &AdmissionRequest, settings: Option<&RawValue>, host: &dyn Host) -> Decision {
        let mut decision = Decision::default();
        if let Err(failure) = self.judge(request, settings, host, &mut decision) {
            decision.unjudged.push(failure);
        }
        decision
    }

    /// Adds the verdict of every concerned policy to a decision.
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
                    // Two policies that read the same field report the same failure.
                    Err(failure) if unjudged.contains(&failure) => {}
                    Err(failure) => unjudged.push(failure),
                }
            }
        }
        Ok(())
    }

    /// Answers `validate_settings`: checks the settings, as JSON.
    ///
    /// # Errors
    ///
    /// The first problem, with its path.
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

/// The policies' decision on a request.
#[derive(Default)]
pub(crate) struct Decision {
    /// Their verdicts, merged.
    pub(crate) verdict: Verdict,
    /// The reasons of policies that could not check it.
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
