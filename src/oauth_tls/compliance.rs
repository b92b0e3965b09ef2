//! Checks what clients require of every certificate, no matter who signed it.
//!
//! Source: Apple's requirements for server certificates, [HT210176](https://support.apple.com/103769), which is what
//! "certificate is not standards compliant" means: Go's `crypto/x509` asks the system on macOS. Go itself checks validity, the use
//! for servers if a use is named, SHA-1 and large RSA keys.

use std::time::Duration;

use super::{
    certificate::{Certificate, RsaKey},
    fault::Fault,
    oddity::oddity,
    rules,
    settings::Settings,
    signatures,
};
use crate::verdict::Note;

const DAY: u64 = 24 * 60 * 60;
/// 2019-07-01: certificates issued since then must be marked for servers, and be valid for [`MOST_DAYS`] at most.
const STRICT_SINCE: Duration = Duration::from_secs(1_561_939_200);
const MOST_DAYS: u64 = 825;
const LEAST_RSA_BITS: usize = 2048;

/// The most days that a certificate under one of Mozilla's roots may be valid, by its issue time since 1970: [ballot
/// SC-081v3](https://cabforum.org/2025/04/11/ballot-sc081v3-introduce-schedule-of-reducing-validity-and-data-reuse-periods/); the
/// first is Apple's HT211025.
const PUBLIC_LIMITS: [(u64, u64); 4] =
    [(1_598_918_400, 398), (1_773_532_800, 200), (1_805_068_800, 100), (1_868_227_200, 47)];

/// The effect on macOS.
const MACOS: &str = "flytectl on macOS rejects the certificate as \"not standards compliant\"";

/// Returns what is wrong with an RSA key.
pub(super) fn weak_key(certificate: &Certificate) -> Option<Fault> {
    const GO: &str = "Go programs such as flytectl reject it";
    let RsaKey { bits, has_usual_exponent } = certificate.rsa.as_ref()?;
    let (what, outcome) = if *bits < LEAST_RSA_BITS {
        (format!("of {bits} bits, less than {LEAST_RSA_BITS}"), MACOS)
    } else if *bits > signatures::MOST_RSA_BITS {
        (format!("of {bits} bits, more than {}", signatures::MOST_RSA_BITS), GO)
    } else if !has_usual_exponent {
        ("with an invalid exponent".to_owned(), GO)
    } else {
        return None;
    };
    let fact = format!("{} has an RSA key {what}", certificate.title());
    Some(Fault::new(rules::WEAK_KEY, fact, outcome, "issue a new one with RSA 2048 or ECDSA P-256"))
}

/// Returns what is wrong with the encoding of a certificate.
pub(super) fn malformed(certificate: &Certificate) -> Option<Fault> {
    let fact = format!("{} {}", certificate.title(), oddity(certificate)?);
    Some(Fault::new(rules::MALFORMED, fact, "Go programs such as flytectl cannot read it", "issue a new one"))
}

/// Returns what is wrong with the validity period.
pub(super) fn not_valid(certificate: &Certificate, now: Duration) -> Option<Fault> {
    let title = certificate.title();
    if now > certificate.not_after() {
        let fact = format!("{title} expired on {}", certificate.last_day());
        Some(Fault::new(rules::EXPIRED, fact, "clients reject it", "renew it"))
    } else if now < certificate.not_before() {
        let fact = format!("{title} is not valid before {}", certificate.first_day());
        let mend = "wait, or check the clock of the machine that issued it";
        Some(Fault::new(rules::NOT_YET_VALID, fact, "clients reject it until that day", mend))
    } else {
        None
    }
}

/// Returns what is wrong with the signature of a certificate.
pub(super) fn weak_signature(certificate: &Certificate) -> Option<Fault> {
    let hash = certificate.weak_hash()?;
    let fact = format!("{} has a signature with {hash}", certificate.title());
    Some(Fault::new(rules::WEAK_SIGNATURE, fact, "every client rejects it", "have it signed with SHA-256"))
}

/// Returns what is wrong with a certificate as a server's own.
pub(super) fn faults_of_leaf(leaf: &Certificate, now: Duration, settings: &Settings) -> Vec<Fault> {
    let title = leaf.title();
    let mut faults = Vec::new();
    if leaf.is_ca {
        let outcome = "clients such as rustls reject it on a server, and its key can sign for any host";
        let mend = "use it to sign a certificate for the server, with basicConstraints CA:FALSE";
        faults.push(Fault::new(rules::IS_CA, format!("{title} is a CA certificate"), outcome, mend));
    }
    if !leaf.has_names() {
        let fact = format!("{title} has no subjectAltName with a DNS name or an IP address");
        let mend = "issue a new one with subjectAltName DNS:<flyteadmin's host>";
        faults.push(Fault::new(rules::NO_NAME, fact, "clients reject it, because they ignore the common name", mend));
    }
    if !leaf.is_ca && !leaf.may_sign_handshakes() {
        let (fact, outcome) = if leaf.may_be_used_for_tls() {
            ("without digitalSignature", "Chrome 124 and later reject it, and TLS 1.3 needs digitalSignature")
        } else {
            ("that does not allow TLS", "OpenSSL and browsers reject it on a server")
        };
        let fact = format!("{title} has a keyUsage {fact}");
        faults.push(Fault::new(
            rules::NO_TLS_KEY_USAGE,
            fact,
            outcome,
            "issue a new one with keyUsage digitalSignature",
        ));
    }
    let is_strict = leaf.not_before() >= STRICT_SINCE;
    let for_servers = leaf.is_for_servers();
    if for_servers == Some(false) {
        let fact = format!("the extendedKeyUsage of {title} does not include serverAuth");
        let mend = "issue a new one with extendedKeyUsage serverAuth";
        faults.push(Fault::new(rules::NO_SERVER_AUTH, fact, "clients reject it", mend));
    } else if leaf.is_netscapes_and_not_for_servers() {
        let fact = format!("the nsCertType of {title} does not include servers");
        faults.push(Fault::new(
            rules::NO_SERVER_AUTH,
            fact,
            "OpenSSL rejects it",
            "issue a new one without nsCertType",
        ));
    } else if for_servers.is_none() && is_strict {
        let fact = format!("{title} has no extendedKeyUsage");
        faults.push(Fault::new(rules::NO_SERVER_AUTH, fact, MACOS, "issue a new one with extendedKeyUsage serverAuth"));
    }
    if is_strict && leaf.lifetime() > Duration::from_secs(MOST_DAYS * DAY) {
        let fact = format!(
            "{title} is valid for {} days ({} to {}), and the limit is {MOST_DAYS}",
            started_days(leaf.lifetime()),
            leaf.first_day(),
            leaf.last_day()
        );
        let mend = "issue a new one for 90 days and renew it automatically, e.g. with cert-manager";
        faults.push(Fault::new(rules::TOO_LONG, fact, MACOS, mend));
    }
    let left = leaf.not_after().checked_sub(now).filter(|_| now >= leaf.not_before());
    if let Some(left) = left.filter(|left| days(*left) < settings.min_days_left()) {
        let fact = format!(
            "{title} expires on {}, in {} days, but minDaysLeft is {}",
            leaf.last_day(),
            days(left),
            settings.min_days_left()
        );
        faults.push(Fault::new(rules::EXPIRES_SOON, fact, "clients reject it once it has expired", "renew it"));
    }
    faults
}

/// A notice if browsers limit the lifetime of a certificate under one of Mozilla's roots further.
pub(super) fn public_limit(leaf: &Certificate) -> Option<Note> {
    let most = most_public_days(leaf.not_before())?;
    (leaf.lifetime() > Duration::from_secs(most * DAY)).then(|| {
        let text = format!(
            "{} is valid for {} days, but for its issue date browsers accept at most {most} days from a public CA",
            leaf.title(),
            started_days(leaf.lifetime())
        );
        Note::new(text, "issue a new one that is valid for fewer days")
    })
}

/// Returns the most days that a certificate issued at a time may be valid under one of Mozilla's roots.
fn most_public_days(issued: Duration) -> Option<u64> {
    PUBLIC_LIMITS.iter().rev().find(|(since, _)| issued.as_secs() >= *since).map(|(_, most)| *most)
}

/// The number of days, including a started one.
fn started_days(time: Duration) -> u64 {
    time.as_secs().div_ceil(DAY)
}

/// The number of whole days.
fn days(time: Duration) -> u64 {
    time.as_secs() / DAY
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DAY, most_public_days};

    #[test]
    fn the_limit_of_public_certificates_depends_on_their_issue_date() {
        // Days since 1970, by `date +%s`.
        for (issued, most) in [
            (18_505, None),      // 2020-08-31
            (18_506, Some(398)), // 2020-09-01
            (20_526, Some(398)), // 2026-03-14
            (20_527, Some(200)), // 2026-03-15
            (20_891, Some(200)), // 2027-03-14
            (20_892, Some(100)), // 2027-03-15
            (21_622, Some(100)), // 2029-03-14
            (21_623, Some(47)),  // 2029-03-15
        ] {
            assert_eq!(most, most_public_days(Duration::from_secs(issued * DAY)), "{issued}");
        }
    }
}
