//! `flyte-oauth-tls`: OAuth clients accept the certificate in front of flyteadmin, and trust the CA that signed it.
//!
//! Checked: the certificates of Secrets, in `data` and `stringData`: each certificate by itself, the links between
//! them, the root, and the hosts that they are presented for. These Secrets are those that are presented in front of
//! flyteadmin, and those with a name of Flyte's charts; with the setting `secrets`, only those that it names. If
//! cert-manager will create the certificate, its issuer is checked. If another OAuth provider issues the tokens, a
//! self-made certificate is allowed; so a provider that `auth` names in flyteadmin's ConfigMaps must have an address.
//!
//! Never read: `tls.key`. Not checked: whether the key belongs to the certificate;
//! revocation; Certificate Transparency; Ingresses that are created later.
//!
//! Source: Flyte's "Security Overview": "Flytectl requires CA-certified SSL cert for OAuth to work. Using a self-signed
//! certificate throws: certificate is not standards compliant", and the sources of `compliance` and `admin_config::auth`.

mod bundle;
mod certificate;
mod chain;
mod compliance;
mod elements;
mod fault;
mod hosts;
mod issuer;
mod oddity;
mod provider;
mod rules;
mod secret;
mod settings;
mod signatures;
mod signer;
mod trust;

use fault::{Fault, TRUST};
use hosts::Hosts;
use provider::Tokens;
use secret::Secret;
use serde_json::value::RawValue;
use settings::Settings;
use signer::Known;

use crate::{
    admin_config::config_map,
    admission::{AdmissionRequest, Kind},
    host::{Host, Listed, Pki},
    installation::{
        ingress,
        others::Others,
        presented::{self, TLS_CRT, Use},
    },
    policy::{Declared, Policy},
    rule::RuleName,
    sentence::Sentence,
    settings::InvalidSettings,
    verdict::{Note, Notice, Place, Unjudged, Verdict, Violation},
};

/// The linked-in means to check certificates: RustCrypto, and Mozilla's roots at the time of the build.
pub const LINKED: &Pki = &Pki { signatures: signatures::ALL, roots: webpki_roots::TLS_SERVER_ROOTS };

/// The policy `flyte-oauth-tls`.
#[derive(Debug)]
pub struct OauthTls;

/// The policy's declaration.
pub const DECLARED: Declared = Declared {
    policy: &OauthTls,
    variant_of: None,
    rules: rules::RULES,
    severities: rules::SEVERITIES,
    settings: settings::SETTINGS,
    asks_for: &[
        Listed::Deployment,
        Listed::ClusterIssuer,
        Listed::Issuer,
        Listed::GrpcRoute,
        Listed::Gateway,
        Listed::HttpRoute,
        Listed::Ingress,
        Listed::HttpProxy,
        Listed::Route,
        Listed::IngressRoute,
        Listed::ConfigMap,
        Listed::Service,
    ],
    asks_for_images: false,
    most_bytes: 1_020_000,
};

impl Policy for OauthTls {
    fn name(&self) -> &'static str {
        "flyte-oauth-tls"
    }

    fn concerns(&self, kind: &Kind) -> bool {
        secret::is_kind(kind)
            || config_map::is_kind(kind)
            || issuer::is_certificate(kind)
            || ingress::is_kind(kind)
            || Listed::Gateway.is(kind)
    }

    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        host: &dyn Host,
    ) -> Result<Verdict, Unjudged> {
        let mut verdict = Verdict::default();
        if !request.sub_resource().is_empty() {
            return Ok(verdict);
        }
        let settings = &Settings::parse(settings)?;
        if secret::is_kind(request.kind()) {
            judge_secret(request, settings, host, &mut verdict)?;
        } else if issuer::is_certificate(request.kind()) {
            issuer::judge_certificate(request, settings, host, &mut verdict)?;
        } else if ingress::is_kind(request.kind()) {
            issuer::judge_ingress(request, settings, host, &mut verdict)?;
        } else if Listed::Gateway.is(request.kind()) {
            issuer::judge_gateway(request, settings, host, &mut verdict)?;
        } else {
            provider::judge(request, settings, host, &mut verdict)?;
        }
        Ok(verdict)
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        Settings::parse(settings)?.check()
    }
}

/// Collects the findings of one place.
struct Report<'v> {
    verdict: &'v mut Verdict,
    /// The path of `tls.crt`, or of the field that requests it.
    path: &'v str,
}

impl Report<'_> {
    fn refuse(&mut self, Fault { rule, fact, outcome, mend }: Fault) {
        let problem = format!("{fact}: {outcome}");
        self.verdict.violations.push(Violation::new(rule, self.place(), problem, mend));
    }

    fn note(&mut self, rule: RuleName, note: impl Into<Note>) {
        self.verdict.notices.push(Notice::new(rule, self.place(), note));
    }

    fn place(&self) -> Place {
        Place::at(self.path)
    }
}

fn judge_secret(
    request: &AdmissionRequest,
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let mut doubt = None;
    let mut presented = |name: &str| {
        let presented = presented::presents(&Others::beside(host), request.namespace(), name);
        presented.unwrap_or_else(|reason| {
            doubt = Some(reason);
            None
        })
    };
    let mut admins = request.namespace().to_owned();
    let secret = secret::read_secret(request, |name, has_tls_crt| {
        let is_named = settings.concern(name);
        let is_moot = is_named && has_tls_crt || settings.names_secrets() && !is_named;
        match if is_moot { None } else { presented(name) } {
            Some(Use { key, namespace }) => {
                admins = namespace;
                Some(key)
            }
            None => is_named.then(|| TLS_CRT.to_owned()),
        }
    })?;
    let Some(secret) = secret else {
        if let Some(reason) = doubt {
            let text = format!("could not check whether this Secret is used in front of flyteadmin: {reason}");
            let note = Note::new(text, "if it is, add it to the `secrets` setting");
            verdict.notices.push(Notice::new(rules::NOT_CHECKED, Place::at("data"), note));
        }
        return Ok(());
    };
    judge_certificates(&secret, [request.namespace(), &admins], settings, host, verdict)?;
    verdict.seen.shows(Sentence::Certificate);
    verdict.violations.rest_on(&secret.certificates);
    Ok(())
}

/// Checks the certificates of a Secret in the first namespace, in front of a flyteadmin in the second.
fn judge_certificates(
    secret: &Secret,
    [namespace, admins]: [&str; 2],
    settings: &Settings,
    host: &dyn Host,
    verdict: &mut Verdict,
) -> Result<(), Unjudged> {
    let report = &mut Report { verdict, path: &secret.path };
    let at = |reason| Unjudged { path: secret.path.clone(), reason };
    let now = host.now().map_err(|reason| at(format!("could not read the current time: {reason}")))?;

    let (ders, mut faults) = bundle::certificates(&secret.certificates);
    let chain = chain::parse_certificates(&ders).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    let Some((leaf, fault)) = chain::leaf(&chain) else {
        faults.into_iter().for_each(|fault| report.refuse(fault));
        return Ok(());
    };
    let is_in_order = fault.is_none();
    faults.extend(fault);
    for certificate in &chain {
        faults.extend(compliance::malformed(certificate));
        faults.extend(compliance::weak_key(certificate));
    }
    for certificate in chain.iter().filter(|certificate| !signer::is_root(certificate, &chain)) {
        faults.extend(compliance::not_valid(certificate, now));
    }
    faults.extend(compliance::faults_of_leaf(leaf, now, settings));
    let unreadable = hosts::unreadable(leaf);
    let is_readable = unreadable.is_none();
    faults.extend(unreadable);
    let known = Known { is_in_order, is_readable, is_refused: !faults.is_empty() };
    let pki = host.pki().map_err(at)?;
    let signer = signer::find_signer(&chain, leaf, known, now, settings, pki).map_err(at)?;
    if signer.is_public {
        compliance::public_limit(leaf).into_iter().for_each(|note| report.note(rules::LONG_LIVED, note));
    }
    faults.extend(signer.faults);
    add(faults, settings, host, admins, report);

    if is_readable && leaf.has_names() {
        match hosts::find_hosts(settings, host, namespace, &secret.name) {
            Ok(Hosts { named, doubt }) => {
                hosts::fault(leaf, &named).into_iter().for_each(|fault| report.refuse(fault));
                doubt.into_iter().for_each(|doubt| report.note(rules::NOT_CHECKED, doubt));
            }
            Err(Note { text, mend }) => {
                let text = format!("could not check which hosts the certificate must cover: {text}");
                report.note(rules::NOT_CHECKED, Note { text, mend });
            }
        }
    }
    Ok(())
}

/// Adds violations. If another provider issues the tokens, faults about who signed the certificate are only notices.
fn add(faults: Vec<Fault>, settings: &Settings, host: &dyn Host, namespace: &str, report: &mut Report) {
    let is_about_trust = |fault: &Fault| TRUST.contains(&fault.rule);
    let tokens = match faults
        .iter()
        .any(is_about_trust)
        .then(|| provider::find_tokens(settings, &Others::beside(host), namespace))
    {
        None => Tokens::ByFlyteadmin,
        Some(Ok(tokens)) => tokens,
        Some(Err(reason)) => {
            let text =
                format!("could not check whether flyteadmin or another OAuth provider issues the tokens: {reason}");
            report.note(
                rules::NOT_CHECKED,
                Note::new(text, "if another provider issues the tokens, set oauth: external in the policy's settings"),
            );
            Tokens::ByFlyteadmin
        }
    };
    for fault in faults {
        match &tokens {
            Tokens::ByAnother(provider) if is_about_trust(&fault) => {
                let text = format!(
                    "{}. Clients reject this certificate until they trust it. OAuth does not need a public CA here, because the tokens come from {provider}, not from flyteadmin",
                    fault.fact
                );
                report.note(
                    fault.rule,
                    Note::new(text, "make clients trust the certificate (flytectl: admin.caCertFilePath)"),
                );
            }
            Tokens::FlyteTwo if is_about_trust(&fault) => report.refuse(fault.of_flyte_two()),
            _ => report.refuse(fault),
        }
    }
}
