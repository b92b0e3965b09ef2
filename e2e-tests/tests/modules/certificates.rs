//! Tests for certificates: compared with openssl, at different times, with changed bytes, and with hostile input.

use std::{
    fs,
    process::Command,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use flytewarden::{
    decision::Policies,
    host::{Host, Listed, NoHost, Pki},
    oauth_tls::{LINKED, OauthTls},
};
use flytewarden_cli::{check::check, engine::Module, inputs::Inputs};
use flytewarden_e2e::{
    cases,
    certificates::{self, day, pem},
    modules::{self, loaded},
};
use flytewarden_offline::{
    check::{Check, Policy as _},
    cluster::NoCluster,
    manifest,
    report::{Answer, Report},
    settings::Settings,
};
use proptest::prelude::*;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json, value::RawValue};

/// A host without a cluster, at a given time, with some roots in place of Mozilla's.
struct At(SystemTime, &'static Pki);

impl Host for At {
    fn list(&self, _: Listed, _: Option<&str>) -> Result<Vec<Box<RawValue>>, String> {
        Err("no cluster is available".to_owned())
    }

    fn now(&self) -> Result<Duration, String> {
        self.0.duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())
    }

    fn pki(&self) -> Result<&'static Pki, String> {
        Ok(self.1)
    }
}

fn request(certificates: &str) -> Value {
    json!({
        "operation": "CREATE", "namespace": "flyte", "kind": {"group": "", "version": "v1", "kind": "Secret"},
        "object": {
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "flyte-tls"},
            "stringData": {"tls.crt": certificates},
        },
    })
}

fn settings(roots: &str) -> Value {
    json!({"trustRoots": roots, "hosts": ["flyte.example.com"], "oauth": "self"})
}

/// The policy's answer for some certificates at a time.
fn judged(certificates: &str, roots: &str, time: SystemTime) -> Answer {
    let payload = json!({"request": request(certificates), "settings": settings(roots)}).to_string();
    let answer = Policies::One(&OauthTls).validate(payload.as_bytes(), &At(time, LINKED));
    serde_json::from_value(json!(answer)).expect("an answer")
}

fn made(name: &str) -> String {
    pem(name).expect("it does not take openssl")
}

#[test]
fn a_certificate_is_valid_from_its_first_second_to_its_last() {
    let chain = made("leaf") + &made("intermediate");
    let accepted = |time| judged(&chain, &made("root"), time).accepted;
    let second = Duration::from_secs(1);
    assert!(accepted(day(0)));
    assert!(accepted(day(-10)) && !accepted(day(-10) - second));
    assert!(accepted(day(80)) && !accepted(day(80) + second));
}

#[test]
fn bytes_after_a_certificate_in_its_block_are_rejected() {
    let mut der = pem::parse(made("leaf")).expect("PEM").into_contents();
    der.push(0);
    let chain = pem::encode(&pem::Pem::new("CERTIFICATE", der)) + &made("intermediate");
    let message = judged(&chain, &made("root"), day(0)).message.unwrap_or_default();
    assert!(message.contains("certificate 1 cannot be read"), "{message}");
}

#[test]
fn joining_a_pem_boundary_with_another_line_is_rejected() {
    let chain = made("leaf") + &made("intermediate");
    for (at, _) in
        chain.match_indices('\n').filter(|(at, _)| chain[..*at].ends_with('-') || chain[at + 1..].starts_with('-'))
    {
        let mut joined = chain.clone();
        joined.remove(at);
        // The last line needs no line break.
        let is_last = at + 1 == chain.len();
        assert_eq!(is_last, judged(&joined, &made("root"), day(0)).accepted, "{joined}");
    }
}

#[test]
fn a_chain_under_one_of_mozillas_roots_is_trusted_unless_the_settings_trust_others() {
    let root = pem::parse(made("root")).expect("PEM").into_contents();
    let anchor = webpki::anchor_from_trusted_cert(&root.into()).expect("a root").to_owned();
    let pki: &Pki = Box::leak(Box::new(Pki { roots: vec![anchor].leak(), ..*LINKED }));
    let judged = |name: &str, settings: Value| {
        let request = request(&(made(name) + &made("intermediate")));
        let payload = json!({"request": request, "settings": settings}).to_string();
        let answer = Policies::One(&OauthTls).validate(payload.as_bytes(), &At(day(0), pki));
        (answer.accepted, json!(answer).to_string())
    };
    let own = json!({"hosts": ["flyte.example.com"], "oauth": "self"});
    let (accepted, answer) = judged("leaf", own.clone());
    assert!(accepted && !answer.contains("long-lived"), "{answer}");
    // Browsers reject such a certificate from a public CA; flytectl accepts it.
    let (accepted, answer) = judged("825-days", own);
    assert!(accepted && answer.contains("long-lived"), "{answer}");
    let (accepted, answer) = judged("leaf", settings(&made("p384-root")));
    assert!(!accepted && answer.contains("unknown-issuer"), "{answer}");
}

#[test]
fn without_a_clock_nothing_is_accepted() {
    let chain = made("leaf") + &made("intermediate");
    let payload = json!({"request": request(&chain), "settings": settings(&made("root"))}).to_string();
    let answer = Policies::One(&OauthTls).validate(payload.as_bytes(), &NoHost);
    assert_eq!((false, Some(400)), (answer.accepted, answer.code));
}

#[test]
fn verdicts_agree_with_openssl() {
    if !certificates::has_openssl() {
        println!("SKIPPED: openssl is not on PATH, so no verdict was compared with its own");
        return;
    }
    // The chain, the roots, and whether openssl accepts it. openssl has no opinion on chains that only macOS rejects, or
    // that are only in the wrong order, so these are left out.
    let chains = [
        ("leaf intermediate", "root", true),
        ("leaf intermediate root", "root", true),
        ("leaf-of-root", "root", true),
        ("wildcard intermediate", "root", true),
        ("p384-leaf p384-intermediate", "p384-root", true),
        ("ed25519-leaf", "ed25519-root", true),
        ("openssl-leaf openssl-intermediate", "openssl-root", true),
        ("openssl-rsa-4096", "openssl-root", true),
        ("openssl-pss", "openssl-root", true),
        ("openssl-address", "openssl-root", true),
        ("openssl-uri", "openssl-root", true),
        ("openssl-of-limited openssl-limited", "openssl-root", true),
        ("openssl-of-critical-root", "openssl-critical-root", false),
        ("netscape-server intermediate", "root", true),
        ("extension intermediate", "root", true),
        ("leaf", "root", false),
        ("leaf intermediate", "p384-root", false),
        ("forged intermediate", "root", false),
        ("leaf p384-intermediate", "root", false),
        ("self-signed", "root", false),
        ("self-signed-ca", "root", false),
        ("expired intermediate", "root", false),
        ("not-yet intermediate", "root", false),
        ("leaf-of-expired expired-intermediate", "root", false),
        ("leaf-of-expired-root", "expired-root", false),
        ("leaf-of-leaf leaf intermediate", "root", false),
        ("client intermediate", "root", false),
        ("signs-certificates intermediate", "root", false),
        ("signs-lists intermediate", "root", false),
        ("netscape-client intermediate", "root", false),
        ("openssl-other-key", "openssl-root", false),
        ("openssl-other-key openssl-root", "openssl-root", false),
        ("openssl-other-serial", "openssl-root", false),
        ("leaf-of-mute mute", "root", false),
        ("leaf-of-client-ca client-ca", "root", false),
        ("leaf-of-mute-root", "mute-root", false),
        ("leaf-of-other-root", "root", false),
        ("leaf-of-other-root other-root", "root", false),
        ("openssl-k256", "openssl-root", true),
        ("nameless intermediate", "root", false),
        ("address intermediate", "root", false),
        ("openssl-md5", "openssl-root", false),
        ("openssl-sha1", "openssl-root", false),
        ("openssl-rsa-1024", "openssl-root", false),
    ];
    for (chain, root, expected) in chains {
        let chain: Vec<String> = chain.split(' ').map(|name| pem(name).expect("openssl is there")).collect();
        let root = pem(root).expect("openssl is there");
        let verdict = judged(&chain.concat(), &root, SystemTime::now());
        let openssl = openssl_verify(&chain, &root);
        assert_eq!(expected, openssl.is_ok(), "{verdict:#?} {openssl:?}");
        // A key that openssl supports and other clients do not cannot be checked.
        assert!(verdict.accepted == expected || expected && verdict.code == Some(400), "{verdict:#?}");
    }
}

/// The verdict of `openssl verify` on a server's chain.
fn openssl_verify(chain: &[String], root: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("there is room");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("there is room");
        path
    };
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-auth_level", "2", "-purpose", "sslserver", "-no-CApath", "-no-CAstore"])
        .args(["-verify_hostname", "flyte.example.com"])
        .arg("-CAfile")
        .arg(file("root", root))
        .arg("-untrusted")
        .arg(file("chain", &chain.concat()))
        .arg(file("leaf", &chain[0]))
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After any change, an accepted chain has the same leaf.
    #[test]
    fn no_byte_of_an_accepted_chain_can_be_changed_to_get_another_subject_accepted(
        position in any::<prop::sample::Index>(), bit in 0..8u32,
    ) {
        let names = ["leaf", "intermediate", "root"];
        let mut ders: Vec<Vec<u8>> = names.iter().map(|name| pem::parse(made(name)).expect("PEM").into_contents()).collect();
        let leaf = ders[0].clone();
        let mut at = position.index(ders.iter().map(Vec::len).sum());
        for der in &mut ders {
            if at < der.len() {
                der[at] ^= 1 << bit;
                break;
            }
            at -= der.len();
        }
        let chain: String = ders.iter().map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone()))).collect();
        let answer = judged(&chain, &made("root"), day(0));
        prop_assert!(!answer.accepted || ders[0] == leaf, "{answer:#?}");
    }

    /// The same for any character of the PEM, which rustls reads by lines.
    #[test]
    fn no_character_of_an_accepted_chain_can_be_changed_to_get_another_subject_accepted(
        position in any::<prop::sample::Index>(), character in "[ -~\n]",
    ) {
        let mut chain = made("leaf") + &made("intermediate") + &made("root");
        let first = |chain: &str| CertificateDer::pem_slice_iter(chain.as_bytes()).next().and_then(Result::ok);
        let leaf = first(&chain).expect("PEM");
        let at = position.index(chain.len());
        chain.replace_range(at..=at, &character);
        let answer = judged(&chain, &made("root"), day(0));
        prop_assert!(!answer.accepted || first(&chain).is_some_and(|first| first == leaf), "{answer:#?}");
    }
}

#[test]
fn hostile_input_is_rejected_briefly_and_in_time() {
    let module = loaded("flyte-oauth-tls");
    let block = |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let deep = STANDARD.encode([0x30, 0x80].repeat(300_000));
    let leaf = made("leaf");
    let harmful = [
        ("1 MiB of garbage", "\u{fffd}".repeat(350_000)),
        ("1 MiB of dashes", "-".repeat(1 << 20)),
        ("1 MiB of beginnings", "-----BEGIN CERTIFICATE-----\n".repeat(37_000)),
        ("1 MiB of ends", "-----END CERTIFICATE-----\n".repeat(40_000)),
        ("1 MiB of A in a block", block(&"A".repeat(1 << 20))),
        ("1 MiB of nested sequences", block(&deep)),
        ("1,000 blocks", leaf.repeat(1_000)),
        ("10 certificates of 100 KB", block(&"A".repeat(100_000)).repeat(10)),
        ("a leaf behind 1 MiB of explanation", format!("{}\n{leaf}", "x".repeat(1 << 20))),
        ("a key of 16,384 bits", made("rsa-16384") + &made("intermediate")),
    ];
    for (title, certificates) in harmful {
        let start = SystemTime::now();
        let request = request(&certificates).to_string();
        let settings = settings(&made("p384-root")).to_string();
        let answer = module.validate(&request, &settings, &(Arc::new(NoCluster) as _)).expect("no trap");
        let time = start.elapsed().unwrap_or_default();
        let message = answer.message.unwrap_or_default();
        assert!(!answer.accepted && message.len() < 5_000, "{title}: {} characters", message.len());
        assert!(time < Duration::from_secs(5), "{title}: {time:?}");
    }
}

/// The key of every Secret here, which no output may contain.
const KEY: &str = "the-key-that-nobody-may-see";

#[test]
fn the_key_is_never_shown() {
    let engine = modules::engine();
    let module = Module::load(&engine, &modules::bytes("flyte-oauth-tls")).expect("the module loads");
    let encoded = STANDARD.encode(KEY);
    let is_silent = |said: &str, of: &str| assert!(!said.contains(KEY) && !said.contains(&encoded), "{of}: {said}");

    let mut secrets = Vec::new();
    for case in cases::all().into_iter().filter(|case| case.policy == "flyte-oauth-tls" && !case.lacks_openssl) {
        let Some(mut object) = case.object.clone().filter(|object| object["kind"] == "Secret") else { continue };
        for (field, key) in [("data", &*encoded), ("stringData", KEY)] {
            if object[field].is_object() || object[field].is_null() {
                object[field]["tls.key"] = json!(key);
            }
        }
        let case = cases::Case { object: Some(object.clone()), ..case };
        let request = case.admission_request().to_string();
        let answer = module.validate(&request, &case.settings.to_string(), &case.host()).expect("no trap");
        is_silent(&format!("{answer:?}"), &case.it);
        secrets.push(object);
    }
    // With wrong types, the key is in an unexpected place.
    for object in [
        json!({"data": KEY}),
        json!({"data": [KEY]}),
        json!({"stringData": {"tls.crt": {"tls.key": KEY}}}),
        json!({"stringData": {"tls.crt": KEY}}),
        json!({"data": {"tls.crt": KEY}}),
        json!({"type": {"tls.key": KEY}}),
        json!({"metadata": KEY}),
    ] {
        let mut secret = request("")["object"].clone();
        secret.as_object_mut().expect("a map").extend(object.as_object().expect("a map").clone());
        let mut request = request("");
        request["object"] = secret.clone();
        let host = Arc::new(NoCluster) as _;
        let answer = module.validate(&request.to_string(), "{}", &host).expect("no trap");
        is_silent(&format!("{answer:?}"), &secret.to_string());
        secrets.push(secret);
    }

    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("secrets.yaml");
    let broken = format!("apiVersion: v1\nkind: Secret\nstringData: {{tls.key: \"{KEY}\n");
    let documents: Vec<String> = secrets.iter().map(ToString::to_string).chain([broken]).collect();
    fs::write(&file, documents.join("\n---\n")).expect("there is room");
    assert!(manifest::objects(&documents[0]).next().is_some_and(|object| object.is_ok()));
    let with = Check {
        policies: &[module],
        settings: &Settings::default(),
        namespace: "flyte",
        images: flytewarden_offline::images::Images::default(),
        namespaces: flytewarden_offline::report::Namespaces::All,
    };
    is_silent(
        &json!(check(&with, Report::default(), &Inputs::find(&[file], &[]).read_files())).to_string(),
        "the command",
    );
}
