//! Finds who signed a certificate: its own key, a chain of CAs that may sign, or a trusted root.

use std::time::Duration;

use super::{
    certificate::{Certificate, Signed},
    chain, compliance,
    fault::{Fault, OR_PROVIDER, TRUST},
    rules,
    settings::Settings,
    trust,
};
use crate::host::Pki;

/// Whether a certificate is the root at the end of a chain. Clients do not check its signature and its validity,
/// because they have their own copy of it.
pub(super) fn is_root(certificate: &Certificate, chain: &[Certificate]) -> bool {
    certificate.is_self_issued() && certificate.number() == chain.len() && certificate.number() > 1
}

/// The result of checking who signed a certificate.
#[derive(Default)]
pub(super) struct Signer {
    pub(super) faults: Vec<Fault>,
    /// Whether it leads to one of Mozilla's roots.
    pub(super) is_public: bool,
}

/// The results of earlier checks.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Whether the leaf comes first.
    pub(super) is_in_order: bool,
    /// Whether webpki can read the leaf.
    pub(super) is_readable: bool,
    /// Whether something is wrong that another OAuth provider does not excuse.
    pub(super) is_refused: bool,
}

/// Checks who signed the leaf, link by link.
///
/// # Errors
///
/// A key type or a signature algorithm is not supported.
pub(super) fn find_signer(
    chain: &[Certificate],
    leaf: &Certificate,
    Known { is_in_order, is_readable, is_refused }: Known,
    now: Duration,
    settings: &Settings,
    pki: &Pki,
) -> Result<Signer, String> {
    let mut signer = Signer::default();
    for certificate in chain.iter().filter(|certificate| !is_root(certificate, chain)) {
        match compliance::weak_signature(certificate) {
            Some(fault) => signer.faults.push(fault),
            None => {
                let unknown = certificate.unknown_signature(pki);
                unknown.map_or(Ok(()), |kind| Err(chain::unknown_signature(certificate, &kind)))?;
            }
        }
    }
    if let Some(kind) = leaf.unknown_key(pki) {
        return Err(format!("{} has a key type that cannot be checked here ({kind})", leaf.title()));
    }
    let is_self_signed = leaf.is_self_issued() && matches!(leaf.is_signed_by(leaf, pki), Signed::Yes);
    // An expired leaf is reported elsewhere; its issuer is checked all the same.
    let time = now.clamp(leaf.not_before(), leaf.not_after().max(leaf.not_before()));
    let mut links = 0;
    let mut trust = None;
    if is_self_signed {
        signer.faults.push(self_signed(leaf));
    } else if settings.wants_trust() && is_readable {
        match trust::path(chain, leaf, time, settings, pki) {
            Ok(path) => {
                signer.is_public = path.is_public;
                links = if is_in_order { path.links } else { 0 };
                if !path.is_public {
                    signer.faults.extend(trust::other_key(chain, leaf, settings));
                }
            }
            Err(error) => trust = Some(error),
        }
    }
    if is_in_order {
        signer.faults.extend(chain::broken_links(chain, links, pki)?);
    }
    // A chain with broken links leads to no root.
    if is_self_signed || !is_readable || !signer.faults.is_empty() {
        return Ok(signer);
    }
    if let Some(error) = &trust {
        signer.faults.extend(trust::why_none(error, chain, leaf, settings, pki, is_refused)?);
    }
    // Faults at the end of the chain may become notices, but faults on the way there may not.
    let is_forgiven = |fault: &Fault| TRUST.contains(&fault.rule);
    if !is_refused && (trust.is_some() || !settings.wants_trust()) && signer.faults.iter().all(is_forgiven) {
        signer.faults.extend(trust::why_not_in_itself(chain, leaf, time, pki));
    }
    Ok(signer)
}

fn self_signed(leaf: &Certificate) -> Fault {
    let outcome = "flytectl does not trust it and fails before OAuth, with \"certificate signed by unknown authority\" or on macOS \"certificate is not standards compliant\"";
    let mend = "use a certificate of a CA that clients trust (e.g. from cert-manager with Let's Encrypt)".to_owned()
        + OR_PROVIDER;
    Fault { rule: rules::SELF_SIGNED, fact: format!("{} is self-signed", leaf.title()), outcome, mend }
}
