//! What a run shows of each sentence of Flyte's "Security Overview".
//!
//! A violation breaks a sentence. It holds where a policy saw an object that shows it, and nothing was left open; all else is
//! not shown, and says what is missing.

use std::collections::BTreeMap;

use flytewarden::{
    host::Host,
    installation::{Presented, presented},
    sentence::Sentence,
};
use serde::Serialize;

use crate::report::{Finding, Judged};

/// The rules by which policies say that they could not see something.
const OPEN: [&str; 3] = ["not-known", "not-checked", "flyte-2"];

/// What a run shows of a sentence.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its stable name: `non-root`, `exception`, `origins`, `address`, `pair`, `certificate`.
    pub name: String,
    /// The sentence, in words.
    pub sentence: String,
    /// Whether it holds.
    pub state: State,
    /// Where it is not shown, what is missing and what to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub missing: Vec<String>,
}

/// Whether a sentence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
        Sentence::Exception => "only the documented check-db-ready may be root",
        Sentence::Origins => "flyteadmin allows the origins of browsers, and no others",
        Sentence::Address => "flyteconsole is told an address that browsers can call",
        Sentence::Pair => "flyteadmin lets flyteconsole in",
        Sentence::Certificate => "the certificate is signed by a CA that clients trust",
    }
}

/// What to add where no object shows a sentence.
fn to_add(sentence: Sentence) -> &'static str {
    match sentence {
        Sentence::NonRoot | Sentence::Exception => {
            "nothing here runs a component of Flyte's; add its workloads, as helm template prints them"
        }
        Sentence::Origins => "no ConfigMap here is one that flyteadmin reads; add those that it mounts",
        Sentence::Address | Sentence::Pair => "nothing here runs flyteconsole; add its Deployment",
        Sentence::Certificate => {
            "no Ingress here presents a certificate in front of flyteadmin; add it, and its Secret"
        }
    }
}

/// What objects say of sentences.
#[derive(Debug, Default)]
pub(crate) struct Sentences {
    shown: Vec<String>,
    broken: Vec<Sentence>,
    open: BTreeMap<Sentence, Vec<String>>,
}

impl Sentences {
    /// Adds what an object shows, and what was found in it.
    pub(crate) fn add(&mut self, judged: &Judged) {
        self.shown.extend(judged.shows.iter().cloned());
        let of = |finding: &Finding| Sentence::of(&finding.policy, &finding.rule, &finding.container);
        self.broken.extend(judged.violations.iter().filter_map(of));
        for notice in judged.notices.iter().filter(|notice| OPEN.contains(&&*notice.rule)) {
            if let Some(sentence) = of(notice) {
                let text = format!("{}: {}", judged.place.title(), notice.problem);
                let open = self.open.entry(sentence).or_default();
                if !open.contains(&text) {
                    open.push(text);
                }
            }
        }
    }

    /// What is shown of each sentence; `host` answers for the manifests, and is only asked where it is needed.
    pub(crate) fn finish(mut self, host: Option<&dyn Host>) -> Vec<Shown> {
        let said = |sentence: Sentence| {
            let is_shown = self.shown.iter().any(|name| name == sentence.name());
            let mut missing = self.open.remove(&sentence).unwrap_or_default();
            let state = match () {
                () if self.broken.contains(&sentence) => State::Broken,
                () if is_shown && missing.is_empty() => State::Holds,
                () => State::NotShown,
            };
            if state != State::NotShown {
                missing.clear();
            } else if missing.is_empty() {
                let certificates =
                    host.filter(|_| sentence == Sentence::Certificate).map(presented).unwrap_or_default();
                missing = certificates.iter().map(not_here).collect();
                if missing.is_empty() {
                    missing.push(to_add(sentence).to_owned());
                }
            }
            Shown { name: sentence.name().to_owned(), sentence: words(sentence).to_owned(), state, missing }
        };
        Sentence::ALL.into_iter().map(said).collect()
    }
}

fn not_here(Presented { ingress, secret, issuer }: &Presented) -> String {
    let issued = issuer.as_ref().map(|issuer| format!("; it is issued by {issuer}")).unwrap_or_default();
    match secret {
        Some(secret) => format!(
            "{ingress} presents Secret {secret}, which is not among these manifests{issued}; add it, without its key"
        ),
        None => format!("{ingress} has its certificate at AWS (certificate-arn), where nobody sees it from here"),
    }
}
