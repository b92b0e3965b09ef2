//! Checks the issuer of the certificate in front of flyteadmin, if cert-manager creates it. The issuer shows what the
//! Secret will hold, even before the Secret exists.
//!
//! Source: [cert-manager](https://cert-manager.io/docs/configuration/) v1.18, on `selfSigned` and `acme`, and its
//! `ingress-shim` and `gateway-shim` on annotations of Ingresses and Gateways.

use std::iter;

use super::{
    Report, add,
    fault::{Fault, OR_PROVIDER},
    rules,
    settings::Settings,
};
use crate::{
    admission::{self, AdmissionRequest, Kind},
    host::{Host, Listed},
    installation::{
        admin_routes,
        fields::{items, text},
        ingress::{self, Ingress, IssuedBy},
        objects,
        others::Others,
        presented,
    },
    location,
    sentence::Sentence,
    text::Text,
    verdict::{Note, Place, Shortened, Unjudged, Verdict, Violation},
    view::view,
};

view! {
    struct Certificate<'a> {
        "spec" => spec: CertificateSpec<'a>,
    }

    struct CertificateSpec<'a> {
        "secretName" => secret_name: Text<'a>,
        "dnsNames" => dns_names: Vec<Text<'a>>,
        "issuerRef" => issuer: Reference<'a>,
    }

    struct Reference<'a> {
        "name" => name: Text<'a>,
        "kind" => kind: Text<'a>,
        "group" => group: Text<'a>,
    }

    struct Issuer<'a> {
        "spec" => spec: IssuerSpec<'a>,
    }

    struct IssuerSpec<'a> {
        "selfSigned" => self_signed: serde::de::IgnoredAny,
        "acme" => acme: Acme<'a>,
    }

    struct Acme<'a> {
        "server" => server: Text<'a>,
    }
}

/// cert-manager's API.
const GROUP: &str = "cert-manager.io";

/// The host of Let's Encrypt's test environment, whose roots no client trusts.
const STAGING: &str = "acme-staging";

/// The host of its production environment.
const LETS_ENCRYPT: &str = "://acme-v02.api.letsencrypt.org/";

/// Whether objects of this kind are cert-manager's Certificates.
pub(super) fn is_certificate(kind: &Kind) -> bool {
    (kind.group(), kind.name()) == (GROUP, "Certificate")
}

/// Checks the issuer of a Certificate that is presented in front of flyteadmin.
pub(super) fn judge_certificate(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    const PATH: &str = "spec.issuerRef";
    let Certificate { spec, .. } = admission::read_fields(request.object()?)?;
    let CertificateSpec { secret_name, dns_names, issuer, .. } = spec.unwrap_or_default();
    let (Some(secret), Some(Reference { name: Some(name), kind, group, .. })) = (secret_name, issuer) else {
        return Ok(());
    };
    let others = Others::beside(host);
    let namespace = request.namespace();
    let used = presented::presents(&others, namespace, &secret).ok().flatten();
    // Other groups have issuers of their own, which are not read.
    if used.is_none() && !settings.concern(&secret) || group.is_some_and(|group| !group.is_empty() && &*group != GROUP)
    {
        return Ok(());
    }
    let by = IssuedBy { is_cluster_wide: kind.as_deref() == Some("ClusterIssuer"), name: name.to_string() };
    let admins = used.as_ref().map_or(namespace, |used| &used.namespace);
    judge(&by, &format!("Secret `{}`", Shortened(&secret)), PATH, [namespace, admins], host, settings, verdict);
    let hosts = presented::tls_hosts(&others, namespace, &secret).unwrap_or_default().named;
    let names = dns_names.unwrap_or_default();
    let covers = |host: &str| {
        let behind = host.split_once('.').map(|(_, domain)| domain);
        names.iter().any(|name| &**name == host || name.strip_prefix("*.").is_some_and(|own| Some(own) == behind))
    };
    // Without DNS names, the certificate is for something else, such as addresses.
    if let Some((missing, from)) = hosts.iter().find(|(host, _)| !names.is_empty() && !covers(host)) {
        let missing = Shortened(missing);
        let problem =
            format!("the certificate will not cover {missing} ({from}): clients that connect there reject it");
        let mend = format!("add {missing} to spec.dnsNames");
        verdict.violations.push(Violation::new(rules::HOST_NOT_COVERED, Place::at("spec.dnsNames"), problem, mend));
    }
    Ok(())
}

/// Checks the issuer that an Ingress to flyteadmin names in an annotation for its certificates.
pub(super) fn judge_ingress(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let ingress: Ingress = admission::read_fields(request.object()?)?;
    let Some((by, annotation)) = ingress.issued_by() else { return Ok(()) };
    let namespace = request.namespace();
    let services = admin_routes::services(&Others::beside(host), namespace).unwrap_or_default();
    let Some(secret) = ingress
        .presents(&services, request.object()?.get())
        .first()
        .map(|secret| format!("Secret `{}`", Shortened(secret)))
    else {
        return Ok(());
    };
    let path = location::key("metadata.annotations", annotation);
    judge(&by, &secret, &path, [namespace; 2], host, settings, verdict);
    Ok(())
}

/// Checks the issuer that a Gateway in front of flyteadmin names in an annotation for its certificates.
pub(super) fn judge_gateway(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let (gateway, namespace) = (request.object()?.get(), request.namespace());
    let named = |(annotation, is_cluster_wide)| {
        let name = text(gateway, &["metadata", "annotations", annotation])?.to_string();
        Some((IssuedBy { is_cluster_wide, name }, annotation))
    };
    let Some((by, annotation)) = ingress::ISSUERS.into_iter().find_map(named) else { return Ok(()) };
    let others = Others::beside(host);
    let listeners = items(gateway, &["spec", "listeners"]).into_iter();
    for certificate in listeners.flat_map(|listener| items(listener.get(), &["tls", "certificateRefs"])) {
        let Some(secret) = text(certificate.get(), &["name"]) else { continue };
        // If it is not known where it leads, nothing more can be checked.
        if let Ok(Some(used)) = presented::presents(&others, namespace, &secret) {
            let path = location::key("metadata.annotations", annotation);
            let secret = format!("Secret `{}`", Shortened(&secret));
            judge(&by, &secret, &path, [namespace, &used.namespace], host, settings, verdict);
            break;
        }
    }
    Ok(())
}

/// Checks the issuer of a Secret in the first namespace, in front of a flyteadmin in the second.
fn judge(
    by: &IssuedBy,
    secret: &str,
    path: &str,
    [namespace, admins]: [&str; 2],
    host: &dyn Host,
    settings: &Settings,
    verdict: &mut Verdict,
) {
    verdict.seen.judged();
    let report = &mut Report { verdict, path };
    let (kind, scope) =
        if by.is_cluster_wide { (Listed::ClusterIssuer, None) } else { (Listed::Issuer, Some(namespace)) };
    let title = match scope {
        Some(namespace) => objects::title(kind, namespace, &by.name),
        None => format!("{} `{}`", kind.kind().1, Shortened(&by.name)),
    };
    let others = Others::beside(host);
    let found = others.find(kind, scope, |found| {
        if found.name != by.name {
            return Ok(None);
        }
        let spec = found.read_fields::<Issuer>(kind)?.spec.unwrap_or_default();
        let server = spec.acme.and_then(|acme| acme.server).map(|server| server.to_string());
        Ok(Some((spec.self_signed.is_some(), server.unwrap_or_default())))
    });
    let fault = match found {
        Ok(Some((true, _))) => Fault {
            rule: rules::SELF_SIGNED,
            fact: format!(
                "the certificate in front of flyteadmin ({secret}) is self-signed, because {title} is selfSigned"
            ),
            outcome: "flytectl does not trust it and fails before OAuth, with \"certificate signed by unknown authority\" or on macOS \"certificate is not standards compliant\"",
            mend: "use an issuer whose certificates clients trust, such as an acme issuer with Let's Encrypt"
                .to_owned()
                + OR_PROVIDER,
        },
        Ok(Some((_, server))) if server.contains(STAGING) => Fault {
            rule: rules::STAGING_ISSUER,
            fact: format!(
                "the certificate in front of flyteadmin ({secret}) comes from Let's Encrypt's test environment, which {title} uses"
            ),
            outcome: "no client trusts its roots, and flytectl stops before OAuth begins",
            mend: "set spec.acme.server of the issuer to https://acme-v02.api.letsencrypt.org/directory".to_owned(),
        },
        Ok(Some((_, server))) => {
            // The only CA that all clients trust and whose address is known.
            if server.contains(LETS_ENCRYPT) {
                report.verdict.seen.shows(Sentence::Certificate);
            }
            return;
        }
        Ok(None) => {
            let text =
                format!("could not check whether clients trust {secret}: {title}, which issues it, was not found");
            return report.note(
                rules::NOT_CHECKED,
                Note::new(text, "create that issuer, or add it to the manifests that you check"),
            );
        }
        Err(reason) => {
            return report.note(rules::NOT_CHECKED, format!("could not check whether clients trust {title}: {reason}"));
        }
    };
    add(iter::once(fault).collect(), settings, host, admins, report);
}
