//! Faults of certificates, before it is known whether they are violations.

use super::rules;
use crate::rule::RuleName;

/// The rules about who signed a certificate: only notices if another provider issues the tokens.
pub(super) const TRUST: [RuleName; 4] =
    [rules::SELF_SIGNED, rules::STAGING_ISSUER, rules::UNTRUSTED_ROOT, rules::UNKNOWN_ISSUER];

/// A problem with a certificate, and the fix.
pub(super) struct Fault {
    pub(super) rule: RuleName,
    /// The problem.
    pub(super) fact: String,
    /// The consequence.
    pub(super) outcome: &'static str,
    pub(super) mend: String,
}

/// The end of a fix: the other option that Flyte's document gives.
pub(super) const OR_PROVIDER: &str = ", or use another OAuth provider (auth.appAuth.authServerType: External)";

impl Fault {
    /// Returns the same fault for a certificate in front of Flyte 2, which issues no tokens and has another client.
    pub(super) fn of_flyte_two(self) -> Self {
        let mend = self.mend.strip_suffix(OR_PROVIDER).map(str::to_owned).unwrap_or(self.mend);
        Self { outcome: "clients such as flyte-sdk refuse to connect unless they are told to trust it", mend, ..self }
    }

    pub(super) fn new(rule: RuleName, fact: String, outcome: &'static str, mend: &str) -> Self {
        Self { rule, fact, outcome, mend: mend.to_owned() }
    }
}
