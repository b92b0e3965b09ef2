//! The sentences of Flyte's "Security Overview" that policies check.
//!
//! A finding shows that a sentence is broken. A sentence holds only if there is evidence for it: a policy records which
//! sentences the object in a request proves, and a report lists what is missing for the others.

/// A sentence of the "Security Overview".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sentence {
    /// Components run as a non-root user.
    NonRoot,
    /// Only the documented init container runs as root.
    Exception,
    /// flyteadmin allows CORS only for listed origins, written as browsers send them.
    Origins,
    /// flyteconsole is configured with an address of flyteadmin that browsers can call.
    Address,
    /// flyteadmin allows the origin that flyteconsole is loaded from.
    Pair,
    /// The certificate in front of flyteadmin is signed by a CA that clients trust.
    Certificate,
}

impl Sentence {
    /// All sentences, in the order of the document.
    pub const ALL: [Self; 6] =
        [Self::NonRoot, Self::Exception, Self::Origins, Self::Address, Self::Pair, Self::Certificate];

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NonRoot => "non-root",
            Self::Exception => "exception",
            Self::Origins => "origins",
            Self::Address => "address",
            Self::Pair => "pair",
            Self::Certificate => "certificate",
        }
    }

    /// The sentence that a policy's finding breaks; `None` for findings of other policies.
    pub fn broken_by(policy: &str, rule: &str, container: &str) -> Option<Self> {
        Some(match policy {
            "flyte-non-root" if container == crate::flyte::CHECK_DB_READY => Self::Exception,
            "flyte-non-root" => Self::NonRoot,
            "flyte-admin-cors" => Self::Origins,
            "flyte-console-url" if matches!(rule, "cut-off" | "not-checked" | "no-way" | "no-login") => Self::Pair,
            "flyte-console-url" => Self::Address,
            "flyte-oauth-tls" => Self::Certificate,
            _ => return None,
        })
    }
}

/// The sentences that a policy found to hold in the object of a request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    is_judged: bool,
    /// A bit for each sentence.
    shown: u8,
}

impl Seen {
    /// Records that the policy checked the object.
    pub(crate) fn judged(&mut self) {
        self.is_judged = true;
    }

    /// Records that the policy checked the object, and that it proves a sentence unless a finding breaks it.
    pub(crate) fn shows(&mut self, sentence: Sentence) {
        self.judged();
        self.shown |= 1 << sentence as u8;
    }

    /// Adds the record of another policy.
    pub(crate) fn and(&mut self, other: Self) {
        self.is_judged |= other.is_judged;
        self.shown |= other.shown;
    }

    /// The names of the sentences that the object proves; `None` if no policy checked it.
    pub(crate) fn names(self) -> Option<Vec<&'static str>> {
        let is_shown = |sentence: &Sentence| self.shown & (1 << *sentence as u8) != 0;
        self.is_judged.then(|| Sentence::ALL.into_iter().filter(is_shown).map(Sentence::name).collect())
    }
}
