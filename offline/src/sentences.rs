//! Tells which sentences of Flyte's "Security Overview" hold.
//!
//! A violation breaks a sentence. A sentence holds if a policy saw an object that shows it and nothing is left open.
//! Otherwise it is not shown, and the report says what is missing.

use std::{borrow::Cow, collections::BTreeSet};

use flytewarden::{
    installation::{Held, Presented, Running, Survey},
    sentence::Sentence,
};
use serde::{Deserialize, Serialize};

use crate::report::{Finding, Judged, Place};

/// The rules with which policies report that they could not see something.
const OPEN: [&str; 4] = ["not-known", "not-checked", "no-way", "no-login"];

/// The rule with which policies report an object of Flyte 2, and the policy that only checks Flyte 2.
const FLYTE_TWO: &str = "flyte-2";
const ABOUT_FLYTE_TWO: &str = "flyte2-exposure";

/// The state of a sentence after a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its stable name: `non-root`, `exception`, `origins`, `address`, `pair`, `certificate`.
    pub name: Cow<'static, str>,
    /// The sentence as text.
    pub sentence: Cow<'static, str>,
    /// Whether it holds.
    pub state: State,
    /// If it is not shown: what is missing, and what to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub missing: Vec<String>,
    /// Whether the user requires it. Such a sentence is an error as long as it is not shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub required: bool,
}

/// Whether a sentence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// At least one object shows that it holds, and no object breaks it.
    Holds,
    /// At least one object breaks it.
    Broken,
    /// The manifests do not show whether it holds.
    NotShown,
}

/// Returns the sentence as text.
pub fn words(sentence: Sentence) -> &'static str {
    match sentence {
        Sentence::NonRoot => "components run as a non-root user",
        Sentence::Exception => "the exception check-db-ready is as documented",
        Sentence::Origins => "flyteadmin allows only listed origins, as browsers send them",
        Sentence::Address => "flyteconsole is given an address that browsers can call",
        Sentence::Pair => "flyteadmin accepts calls from flyteconsole",
        Sentence::Certificate => "OAuth uses a certificate from a trusted CA, or another provider",
    }
}

/// Returns the policy that checks a sentence.
fn policy_of(sentence: Sentence) -> &'static str {
    match sentence {
        Sentence::NonRoot | Sentence::Exception => "flyte-non-root",
        Sentence::Origins => "flyte-admin-cors",
        Sentence::Address | Sentence::Pair => "flyte-console-url",
        Sentence::Certificate => "flyte-oauth-tls",
    }
}

/// The sentences that are about flyteadmin.
const ABOUT_FLYTEADMIN: [Sentence; 3] = [Sentence::Origins, Sentence::Pair, Sentence::Certificate];

/// Tells what to add if no object shows a sentence.
fn to_add(sentence: Sentence, is_flyte_two: bool) -> &'static str {
    match sentence {
        Sentence::Origins | Sentence::Address | Sentence::Pair if is_flyte_two => {
            "Flyte 2 has no option for this; flyte2-exposure checks Flyte 2"
        }
        Sentence::NonRoot | Sentence::Exception => {
            "found no workload that runs a Flyte component; add the workloads that helm template prints"
        }
        Sentence::Origins => "found none of flyteadmin's ConfigMaps; add those that it mounts",
        Sentence::Address | Sentence::Pair => "found no flyteconsole; add its Deployment",
        Sentence::Certificate => {
            "found no Ingress or route with a certificate in front of flyteadmin; add one and its Secret"
        }
    }
}

/// The evidence for the sentences, from the objects.
#[derive(Debug, Default)]
pub(crate) struct Sentences {
    said: [Said; Sentence::ALL.len()],
    /// The objects that show a certificate, by their titles, with their files. A cert-manager Certificate is listed as
    /// its Secret.
    certificates: Vec<(String, String)>,
    /// Whether an object belongs to Flyte 2.
    is_flyte_two: bool,
    /// The namespaces in which another provider issues the tokens with a certificate of its own, and the file of the
    /// ConfigMap that says so.
    providers: BTreeSet<(String, String)>,
}

/// An environment, and the survey of its manifests.
pub(crate) struct Environment {
    /// One of its files.
    pub(crate) file: String,
    /// The files that belong only to other environments.
    pub(crate) apart: BTreeSet<String>,
    pub(crate) survey: Survey,
}

/// The evidence for one sentence.
#[derive(Debug, Default)]
struct Said {
    is_shown: bool,
    is_broken: bool,
    /// The reasons why it is not proven.
    open: Vec<String>,
}

impl Sentences {
    /// Records that a workload is of a kind that no policy covers.
    pub(crate) fn leave_open(&mut self, workload: &str) {
        for sentence in [Sentence::NonRoot, Sentence::Exception] {
            self.said[sentence as usize].open.push(format!("{workload}: no policy covers this kind of workload"));
        }
    }

    /// Whether objects show a sentence that is about flyteadmin.
    pub(crate) fn needs_flyteadmin(&self) -> bool {
        ABOUT_FLYTEADMIN.iter().any(|sentence| self.said[*sentence as usize].is_shown)
    }

    /// Adds the evidence of an object and its findings. `namespace` is the namespace of objects that do not name one.
    pub(crate) fn add(&mut self, judged: &Judged, namespace: &str) {
        let shows = |sentence: Sentence| judged.shows.iter().any(|name| name == sentence.name());
        for (said, sentence) in self.said.iter_mut().zip(Sentence::ALL) {
            said.is_shown |= shows(sentence);
        }
        if shows(Sentence::Certificate) {
            let Place { kind, namespace: own, name, file, .. } = &judged.place;
            if kind == "ConfigMap" {
                self.providers.insert((own.as_deref().unwrap_or(namespace).to_owned(), file.clone()));
            }
            let (kind, name) = match &judged.certificate {
                Some(secret) => ("Secret", secret),
                None => (&**kind, name),
            };
            let title = format!("{kind} {}/{name}", own.as_deref().unwrap_or(namespace));
            self.certificates.push((title, file.clone()));
        }
        let ignored = judged.ignored.iter().map(|ignored| (&ignored.finding, format!("ignored: {}", ignored.reason)));
        let off = judged.off.iter().map(|finding| (finding, "off".to_owned()));
        for (Finding { policy, rule, container, .. }, how) in ignored.chain(off) {
            if let Some(sentence) = Sentence::broken_by(policy, rule, container) {
                let reason = format!("{}: {policy}/{rule} is {how}", judged.place.title());
                let open = &mut self.said[sentence as usize].open;
                if !open.contains(&reason) {
                    open.push(reason);
                }
            }
        }
        for (findings, is_violation) in [(&judged.violations, true), (&judged.notices, false)] {
            for finding in findings {
                let Finding { policy, rule, container, .. } = finding;
                self.is_flyte_two |= rule == FLYTE_TWO || policy == ABOUT_FLYTE_TWO && !OPEN.contains(&&**rule);
                let Some(sentence) = Sentence::broken_by(policy, rule, container) else { continue };
                // A workload that only runs beside Flyte's components does not count here.
                if sentence == Sentence::NonRoot && !shows(sentence) {
                    continue;
                }
                let said = &mut self.said[sentence as usize];
                said.is_broken |= is_violation;
                if !is_violation && OPEN.contains(&&**rule) {
                    said.open.push(format!("{}: {}", judged.place.title(), finding.in_words()));
                }
            }
        }
    }

    /// What is shown of each sentence. `is_unread` says whether something could not be checked by a policy.
    /// `has_run` says whether a policy did.
    pub(crate) fn finish(
        self,
        environments: &[Environment],
        is_unread: impl Fn(&str) -> bool,
        has_run: impl Fn(&str) -> bool,
    ) -> Vec<Shown> {
        let is_address_broken = self.said[Sentence::Address as usize].is_broken;
        let mut shown = Vec::with_capacity(Sentence::ALL.len());
        let (mut missing, mut unseen) = (Vec::new(), Vec::new());
        for environment in environments {
            let of = match environments.len() {
                1 => String::new(),
                _ => format!(" (in the environment of {})", environment.file),
            };
            missing.extend(self.missing(environment).into_iter().map(|reason| reason + &of));
            let running = environment.survey.running.iter();
            let reasons = running
                .filter_map(|Running { deployment, unseen, .. }| Some(format!("{deployment}: {}", unseen.as_ref()?)));
            unseen.extend(reasons.map(|reason| reason + &of));
        }
        // A flyteconsole that could not be checked still exists, so its reasons count for the address too.
        let unchecked = self.said[Sentence::Pair as usize].open.clone();
        let lacks_flyteadmin =
            !environments.is_empty() && environments.iter().all(|environment| environment.survey.running.is_empty());
        for (Said { is_shown, is_broken, mut open }, sentence) in self.said.into_iter().zip(Sentence::ALL) {
            match sentence {
                Sentence::Certificate => open.extend(missing.iter().cloned()),
                Sentence::Origins => {
                    // If there are reasons already, the policy has named what it could not see.
                    if open.is_empty() {
                        open.extend(unseen.iter().cloned());
                    }
                    // The origins of flyteadmin say nothing about Flyte 2, which is installed as well.
                    if self.is_flyte_two {
                        open.push(to_add(sentence, true).to_owned());
                    }
                }
                _ => {}
            }
            if lacks_flyteadmin && is_shown && open.is_empty() && ABOUT_FLYTEADMIN.contains(&sentence) {
                open.push("found no flyteadmin; add its Deployment".to_owned());
            }
            let is_unread = is_unread(policy_of(sentence));
            let state = match (is_broken, is_shown && open.is_empty() && !is_unread) {
                (true, _) => State::Broken,
                (false, true) => State::Holds,
                (false, false) => State::NotShown,
            };
            if state != State::NotShown {
                open.clear();
            } else if !has_run(policy_of(sentence)) {
                open = vec![format!("the policy {} was not run", policy_of(sentence))];
            } else if open.is_empty() && sentence == Sentence::Address && !unchecked.is_empty() {
                open.clone_from(&unchecked);
            } else if open.is_empty() {
                open.push(match (sentence, is_unread, is_address_broken) {
                    (Sentence::Pair, _, true) => "flyteconsole's address has a violation; fix that first".to_owned(),
                    // One of those may show it, or break it.
                    (_, true, _) => "something could not be checked; see above".to_owned(),
                    _ => to_add(sentence, self.is_flyte_two).to_owned(),
                });
            }
            let (name, words) = (sentence.name().into(), words(sentence).into());
            shown.push(Shown { name, sentence: words, state, missing: open, required: false });
        }
        shown
    }

    /// Lists the certificates in front of an environment's flyteadmins that the manifests do not show.
    fn missing(
        &self,
        Environment { apart, survey: Survey { presented, running, unknown }, .. }: &Environment,
    ) -> Vec<String> {
        let has_provider =
            |namespace: &str| self.providers.iter().any(|(of, file)| of == namespace && !apart.contains(file));
        let is_missing = |presented: &&Presented| {
            let Presented { route, namespace, held, .. } = presented;
            let secret = match held {
                Held::Secret(secret) => Some(format!("Secret {secret}")),
                Held::LoadBalancer(_) | Held::Router | Held::Unsaid => None,
            };
            let is_it = |title: &String| title == route || Some(title) == secret.as_ref();
            let is_shown = |(title, file): &(String, String)| is_it(title) && !apart.contains(file);
            !has_provider(namespace) && !self.certificates.iter().any(is_shown)
        };
        let mut missing: Vec<String> = presented.iter().filter(is_missing).map(not_here).collect();
        missing.extend(unknown.iter().cloned());
        // If there is no certificate at all, `to_add` tells what to add. If there are some, each flyteadmin needs its
        // own: a certificate in front of one says nothing about another.
        if !self.certificates.is_empty() {
            let is_bare = |Running { namespace, .. }: &&Running| {
                !has_provider(namespace) && !presented.iter().any(|presented| presented.namespace == *namespace)
            };
            let bare = running.iter().filter(is_bare).map(|Running { deployment, .. }| {
                format!("found no Ingress or route with a certificate in front of {deployment}; add one and its Secret")
            });
            missing.extend(bare);
        }
        missing
    }
}

fn not_here(Presented { route, held, issuer, .. }: &Presented) -> String {
    let issued = issuer.as_ref().map(|issuer| format!("; it is issued by {issuer}")).unwrap_or_default();
    match held {
        Held::Secret(secret) => format!(
            "{route} uses Secret {secret}, which is not in these manifests{issued}; add it, without its private key"
        ),
        Held::LoadBalancer(annotation) => {
            format!(
                "the cloud's load balancer holds the certificate of {route} ({annotation}), so it could not be checked"
            )
        }
        Held::Unsaid => format!(
            "found no certificate for {route}, so its clients get another one or none; add TLS there or at its \
             Gateway, and the Secret"
        ),
        Held::Router => {
            format!("the certificate of {route} is in the route, its router or its Gateway, and was not checked")
        }
    }
}
