//! The sentences of Flyte's "Security Overview" that policies hold an installation to.
//!
//! What is wrong breaks a sentence; that it holds somebody must have seen: a policy says which sentences the object in a request
//! shows, and a report says of the others what is missing.

/// A sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sentence {
    /// Components run as a non-root user.
    NonRoot,
    /// The init container that may be root is the documented one.
    Exception,
    /// flyteadmin allows CORS for origins that browsers send, and for no others.
    Origins,
    /// flyteconsole is told an address of flyteadmin that browsers can call.
    Address,
    /// flyteadmin lets in the origin that flyteconsole is loaded from.
    Pair,
    /// The certificate in front of flyteadmin is signed by a CA that clients trust.
    Certificate,
}

impl Sentence {
    /// All of them, as the document has them.
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

    /// The sentence that a finding of a policy is about; of another's it is none.
    pub fn of(policy: &str, rule: &str, container: &str) -> Option<Self> {
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

/// What a policy saw of an object in a request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    is_judged: bool,
    /// A bit for each sentence.
    shown: u8,
}

impl Seen {
    /// It read the object and came to a verdict.
    pub(crate) fn judged(&mut self) {
        self.is_judged = true;
    }

    /// It did, and the object shows that a sentence holds, unless something found breaks it.
    pub(crate) fn shows(&mut self, sentence: Sentence) {
        self.judged();
        self.shown |= 1 << sentence as u8;
    }

    /// With what another policy saw.
    pub(crate) fn and(&mut self, other: Self) {
        self.is_judged |= other.is_judged;
        self.shown |= other.shown;
    }

    /// The names of the sentences that are shown; nothing where the object was passed over.
    pub(crate) fn names(self) -> Option<Vec<&'static str>> {
        let is_shown = |sentence: &Sentence| self.shown & (1 << *sentence as u8) != 0;
        self.is_judged.then(|| Sentence::ALL.into_iter().filter(is_shown).map(Sentence::name).collect())
    }
}
