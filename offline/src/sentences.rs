//! What a run shows of each sentence of Flyte's "Security Overview".
//!
//! A violation breaks a sentence. It holds where a policy saw an object that shows it, and nothing was left open; all else is
//! not shown, and says what is missing.

use std::{borrow::Cow, collections::BTreeSet};

use flytewarden::{
    installation::{Held, Presented, Running, Survey},
    sentence::Sentence,
};
use serde::{Deserialize, Serialize};

use crate::report::{Finding, Judged, Place};

/// The rules by which policies say that they could not see something.
const OPEN: [&str; 4] = ["not-known", "not-checked", "no-way", "no-login"];

/// The rule by which they say that an object is Flyte 2's, and the policy that is about nothing else.
const FLYTE_TWO: &str = "flyte-2";
const ABOUT_FLYTE_TWO: &str = "flyte2-exposure";

/// What a run shows of a sentence.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its stable name: `non-root`, `exception`, `origins`, `address`, `pair`, `certificate`.
    pub name: Cow<'static, str>,
    /// The sentence, in words.
    pub sentence: Cow<'static, str>,
    /// Whether it holds.
    pub state: State,
    /// Where it is not shown, what is missing and what to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub missing: Vec<String>,
}

/// Whether a sentence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Some object shows that it does, and none that it does not.
    Holds,
    /// Some object breaks it.
    Broken,
    /// Nobody saw whether it does.
    NotShown,
}

/// The sentence in words.
pub fn words(sentence: Sentence) -> &'static str {
    match sentence {
        Sentence::NonRoot => "components run as a non-root user",
        Sentence::Exception => "check-db-ready, the documented exception, is as documented",
        Sentence::Origins => "flyteadmin allows the origins of browsers, and no others",
        Sentence::Address => "flyteconsole is told an address that browsers can call",
        Sentence::Pair => "flyteadmin lets flyteconsole in",
        Sentence::Certificate => "OAuth has a certificate of a CA that clients trust, or another provider",
    }
}

/// The policy that checks a sentence.
fn policy_of(sentence: Sentence) -> &'static str {
    match sentence {
        Sentence::NonRoot | Sentence::Exception => "flyte-non-root",
        Sentence::Origins => "flyte-admin-cors",
        Sentence::Address | Sentence::Pair => "flyte-console-url",
        Sentence::Certificate => "flyte-oauth-tls",
    }
}

/// What to add where no object shows a sentence.
fn to_add(sentence: Sentence, is_flyte_two: bool) -> &'static str {
    match sentence {
        Sentence::Origins | Sentence::Address | Sentence::Pair if is_flyte_two => {
            "this is Flyte 2, which has no such option; flyte2-exposure checks Flyte 2"
        }
        Sentence::NonRoot | Sentence::Exception => {
            "found no workload that runs a Flyte component; add the workloads that helm template prints"
        }
        Sentence::Origins => "found no ConfigMap that flyteadmin reads; add those that it mounts",
        Sentence::Address | Sentence::Pair => "found no flyteconsole; add its Deployment",
        Sentence::Certificate => {
            "found no Ingress or route with a certificate in front of flyteadmin; add it and its Secret"
        }
    }
}

/// What objects say of sentences.
#[derive(Debug, Default)]
pub(crate) struct Sentences {
    said: [Said; Sentence::ALL.len()],
    /// What shows its certificate: Secrets and Ingresses, as people name them, and the file of each.
    certificates: Vec<(String, String)>,
    /// Whether an object is Flyte 2's.
    is_flyte_two: bool,
    /// The namespaces in which another provider gives out the tokens, whose certificate is its own, and the file that says so.
    providers: BTreeSet<(String, String)>,
}

/// What the manifests of an environment hold together.
pub(crate) struct Environment {
    /// One of its files.
    pub(crate) file: String,
    /// The files of other environments.
    pub(crate) apart: BTreeSet<String>,
    pub(crate) survey: Survey,
}

/// What objects say of a sentence.
#[derive(Debug, Default)]
struct Said {
    is_shown: bool,
    is_broken: bool,
    /// What is left open.
    open: Vec<String>,
}

impl Sentences {
    /// Adds what an object shows, and what was found in it. `namespace` is that of objects that name none.
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
            if let Some(sentence) = Sentence::of(policy, rule, container) {
                let reason = format!("{}: {policy}/{rule} is {how}", judged.place.title());
                let open = &mut self.said[sentence as usize].open;
                if !open.contains(&reason) {
                    open.push(reason);
                }
            }
        }
        for (findings, is_violation) in [(&judged.violations, true), (&judged.notices, false)] {
            for Finding { policy, rule, container, problem, .. } in findings {
                self.is_flyte_two |= rule == FLYTE_TWO || policy == ABOUT_FLYTE_TWO && !OPEN.contains(&&**rule);
                let Some(sentence) = Sentence::of(policy, rule, container) else { continue };
                // What runs beside Flyte's components is none of them.
                if sentence == Sentence::NonRoot && !shows(sentence) {
                    continue;
                }
                let said = &mut self.said[sentence as usize];
                said.is_broken |= is_violation;
                if !is_violation && OPEN.contains(&&**rule) {
                    said.open.push(format!("{}: {problem}", judged.place.title()));
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
        // A console that could not be checked is there all the same.
        let unchecked = self.said[Sentence::Pair as usize].open.clone();
        for (Said { is_shown, is_broken, mut open }, sentence) in self.said.into_iter().zip(Sentence::ALL) {
            match sentence {
                Sentence::Certificate => open.extend(missing.iter().cloned()),
                Sentence::Origins => {
                    // Of those that are seen, the policy has said what is not.
                    if open.is_empty() {
                        open.extend(unseen.iter().cloned());
                    }
                    // What flyteadmin allows is not all that there is beside it.
                    if self.is_flyte_two {
                        open.push(to_add(sentence, true).to_owned());
                    }
                }
                _ => {}
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
            shown.push(Shown { name: sentence.name().into(), sentence: words(sentence).into(), state, missing: open });
        }
        shown
    }

    /// The certificates in front of an environment's flyteadmins that nobody saw.
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
        // Where no certificate is seen at all it is said elsewhere what to add; that one is behind a certificate says nothing of
        // another.
        if !self.certificates.is_empty() {
            let is_bare = |Running { namespace, .. }: &&Running| {
                !has_provider(namespace) && !presented.iter().any(|presented| presented.namespace == *namespace)
            };
            let bare = running.iter().filter(is_bare).map(|Running { deployment, .. }| {
                format!("found no Ingress or route with a certificate in front of {deployment}; add it and its Secret")
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
                "{route} has its certificate at the cloud's load balancer ({annotation}), where it cannot be checked from here"
            )
        }
        Held::Unsaid => format!(
            "no certificate is seen for {route}, so that its clients get another one or none; add TLS there or at its Gateway, and \
             the Secret"
        ),
        Held::Router => {
            format!("{route} has its certificate in itself, at its router or at its Gateway, which is not checked")
        }
    }
}
