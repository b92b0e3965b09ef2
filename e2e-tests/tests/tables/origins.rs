//! Which origin would a browser send? `flyte-admin-cors` must agree with this table, and the table with Node's URLs.

use std::process::Command;

use flytewarden::{admin_cors::AdminCors, decision::Policies, host::NoHost};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

/// A text, and the origin that a browser would send for it, if any. The text matches if the origin is the same.
const ORIGINS: &[(&str, Option<&str>)] = &[
    ("https://console.example.com", Some("https://console.example.com")),
    ("https://console.example.com:8443", Some("https://console.example.com:8443")),
    ("https://console", Some("https://console")),
    ("https://console.example.com.", Some("https://console.example.com.")),
    ("https://xn--bcher-kva.example", Some("https://xn--bcher-kva.example")),
    ("https://xn--n3h.example", Some("https://xn--n3h.example")),
    ("https://xn--fiqs8s", Some("https://xn--fiqs8s")),
    ("https://xn--fa-hia.example", Some("https://xn--fa-hia.example")),
    ("https://192.0.2.7:30081", Some("https://192.0.2.7:30081")),
    ("https://[2001:db8::1]", Some("https://[2001:db8::1]")),
    ("https://a_b.example.com", Some("https://a_b.example.com")),
    ("http://localhost:30080", Some("http://localhost:30080")),
    ("http://[::1]:8080", Some("http://[::1]:8080")),
    // Paths, queries, fragments, users.
    ("https://console.example.com/", Some("https://console.example.com")),
    ("https://console.example.com/console", Some("https://console.example.com")),
    ("https://console.example.com//", Some("https://console.example.com")),
    ("https://console.example.com\\", Some("https://console.example.com")),
    ("https://console.example.com?a=b", Some("https://console.example.com")),
    ("https://console.example.com?", Some("https://console.example.com")),
    ("https://console.example.com#a", Some("https://console.example.com")),
    ("https://admin@console.example.com", Some("https://console.example.com")),
    ("https://admin:secret@console.example.com:8443", Some("https://console.example.com:8443")),
    ("https://@console.example.com", Some("https://console.example.com")),
    // Other spellings of a host, a scheme or a port.
    ("HTTPS://console.example.com", Some("https://console.example.com")),
    ("https://Console.Example.COM", Some("https://console.example.com")),
    ("https://console.example.com:443", Some("https://console.example.com")),
    ("http://localhost:80", Some("http://localhost")),
    ("https://console.example.com:", Some("https://console.example.com")),
    ("https://console.example.com:08443", Some("https://console.example.com:8443")),
    ("https://bücher.example", Some("https://xn--bcher-kva.example")),
    ("https://BÜCHER.example:8443/", Some("https://xn--bcher-kva.example:8443")),
    ("https://консоль.example", Some("https://xn--j1acfdbr3f.example")),
    ("https://例え.example", Some("https://xn--r8jz45g.example")),
    ("https://console%2Eexample.com", Some("https://console.example.com")),
    ("https://192.0.2.007", Some("https://192.0.2.7")),
    ("https://0xC0000207", Some("https://192.0.2.7")),
    ("https://[2001:DB8:0:0:0:0:0:1]", Some("https://[2001:db8::1]")),
    (" https://console.example.com", Some("https://console.example.com")),
    ("https://console.example.com\n", Some("https://console.example.com")),
    // Texts that are not origins, or not origins of web pages.
    ("", None),
    ("https://", None),
    ("https:///", None),
    ("https://console example.com", None),
    ("https://[2001:db8::1", None),
    ("https://console.example.com:99999", None),
    ("https://console.example.com:https", None),
    ("https://256.256.256.256", None),
    // Punycode of a control, a capital, a ligature, a soft hyphen, a dot after a digit, and a character for private use.
    ("https://xn--a", None),
    ("https://XN--A", None),
    ("https://console.xn--dca.example", None),
    ("https://xn--jm6c.example", None),
    ("https://xn--kba.example", None),
    ("https://xn--a-ecp.example", None),
    ("https://xn--0y0c.example", None),
    ("https://xn--a:8443/", None),
    ("https://xn%2d%2da", None),
    // Invalid punycode.
    ("https://xn--0", None),
    ("https://xn--.example", None),
    ("https://xn--99999999", None),
    ("https://<flyte-console-domain>", None),
    ("https://exa|mple.com", None),
    ("file:///index.html", None),
    ("data://console.example.com", None),
    ("about:blank", None),
    ("javascript:alert(1)", None),
    ("console", None),
    ("//", None),
];

/// The policy's findings on texts that browsers never send as origins, even if they can read the texts as URLs.
const NEVER_SENT: &[(&str, &str, &str)] = &[
    ("console.example.com", "has no scheme", "write https://console.example.com"),
    ("console.example.com:8443/console", "has no scheme", "write https://console.example.com:8443"),
    ("//console.example.com", "has no scheme", "write https://console.example.com"),
    ("localhost:30080", "has no scheme", "write http://localhost:30080"),
    ("https://*.example.com", "contains a `*`, which is not a wildcard here", EXAMPLE),
    ("*.example.com", "contains a `*`, which is not a wildcard here", EXAMPLE),
    ("https://{{ .Values.host }}", "contains a placeholder that was not replaced", EXAMPLE),
    ("${CONSOLE_ORIGIN}", "contains a placeholder that was not replaced", EXAMPLE),
    ("https://xn--a", INVALID, EXAMPLE),
    ("https://xn--.example/console", INVALID, EXAMPLE),
    ("xn--a.example", "has no scheme", EXAMPLE),
    ("ftp://console.example.com", "has a scheme other than https or http", EXAMPLE),
    ("https://faß.example", "has a host that is not in punycode", EXAMPLE),
    ("https://console.example.com/", "ends with a slash", "write https://console.example.com"),
    ("https://console.example.com/console", "has a path", "write https://console.example.com"),
    ("https://console.example.com/?a", "has a query", "write https://console.example.com"),
    ("https://console.example.com#a", "has a fragment", "write https://console.example.com"),
    ("https://a@console.example.com", "contains a user", "write https://console.example.com"),
    ("https://Console.example.com", "has upper-case letters", "write https://console.example.com"),
    ("https://console.example.com:443", "names the scheme's default port", "write https://console.example.com"),
    ("https://bücher.example", "has a host that is not in punycode", "write https://xn--bcher-kva.example"),
    ("https://console.example.com ", "contains white space", "write https://console.example.com"),
    ("https://0xC0000207", "has upper-case letters", "write https://192.0.2.7"),
    ("https://192.0.2.007", "has a host that browsers write differently", "write https://192.0.2.7"),
    (
        "https://a.example,https://b.example",
        "contains a comma or a semicolon: each origin must be its own item",
        EXAMPLE,
    ),
    ("https://console.example.com;", "contains a comma or a semicolon: each origin must be its own item", EXAMPLE),
    ("https://{host}", "contains a placeholder that was not replaced", EXAMPLE),
    ("https://flyte.$DOMAIN", "contains a placeholder that was not replaced", EXAMPLE),
    ("https://https://console.example.com", "has two schemes", EXAMPLE),
    ("https//console.example.com", "has no scheme", EXAMPLE),
    ("https:/console.example.com", "has no scheme", EXAMPLE),
    ("http://console.example.com/", "ends with a slash", "write https://console.example.com"),
    ("not an origin", "contains white space", EXAMPLE),
];

const INVALID: &str = "has an invalid `xn--` part in its host, which browsers reject";
const EXAMPLE: &str = "write the origin as a browser sends it, e.g. https://console.example.com";

/// The policy's violations for allowed origins: the rule, problem and fix of each.
fn violations(origins: &[&str]) -> Vec<[String; 3]> {
    let file = json!({"server": {"security": {"allowedOrigins": origins}}}).to_string();
    let object = json!({"metadata": {"name": "flyte-admin-config"}, "data": {"server.yaml": file}});
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let payload = json!({"request": {"operation": "CREATE", "kind": kind, "object": object}}).to_string();
    let answer = Policies::One(&AdminCors).validate(payload.as_bytes(), &NoHost);
    let annotations = answer.audit_annotations.unwrap_or_default();
    let found: Vec<Value> =
        annotations.get("violations").map_or(Vec::new(), |json| serde_json::from_str(json).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    found.iter().map(|found| ["rule", "problem", "mend"].map(|field| text(&found[field]))).collect()
}

fn judge(shown: &str, sent: Option<&str>) -> Result<(), Failed> {
    let found = violations(&[shown]);
    let good = match (&found[..], sent) {
        ([], Some(sent)) => sent == shown,
        ([[rule, _, mend]], Some(sent)) => rule == "never-matches" && shown != sent && *mend == format!("write {sent}"),
        ([[rule, _, mend]], None) => rule == "never-matches" && mend == EXAMPLE,
        _ => false,
    };
    if good { Ok(()) } else { Err(format!("a browser sends {sent:?}, and the policy says {found:?}").into()) }
}

fn explain(shown: &str, reason: &str, mend: &str) -> Result<(), Failed> {
    let expected = [format!("it {reason}"), mend.to_owned()];
    match &violations(&[shown])[..] {
        [[rule, problem, mend]] if rule == "never-matches" => {
            let reason = problem.rsplit_once("`: ").map_or(&**problem, |(_, reason)| reason).to_owned();
            let found = [reason, mend.clone()];
            if found == expected { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}").into()) }
        }
        found => Err(format!("expected {expected:?}, found {found:?}").into()),
    }
}

/// Compares the table with Node, whose URLs work as in browsers.
fn by_node() -> Result<(), Failed> {
    const SCRIPT: &str = "
        const origin = (url) => { try { return new URL(url).origin } catch { return 'null' } };
        console.log(JSON.stringify(JSON.parse(process.argv[1]).map(origin)));";
    let shown: Vec<&str> = ORIGINS.iter().map(|(shown, _)| *shown).collect();
    let output = Command::new("node").args(["-e", SCRIPT, &json!(shown).to_string()]).output()?;
    let origins: Vec<String> = serde_json::from_slice(&output.stdout)?;
    let expected = ORIGINS.iter().map(|(_, sent)| sent.unwrap_or("null"));
    let wrong: Vec<_> =
        ORIGINS.iter().zip(&origins).zip(expected).filter(|((_, found), expected)| found != expected).collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("Node says otherwise: {wrong:#?}").into()) }
}

/// Checks that Node rejects every name of one character in punycode that the policy rejects, alone and after a letter.
fn names_by_node() -> Result<(), Failed> {
    const SCRIPT: &str = "
        const {encode} = require('punycode');
        const takes = (name) => { try { return !!new URL('https://xn--' + encode(name)) } catch { return false } };
        const taken = [];
        // Behind that Unicode has nothing yet, or what is for private use.
        for (let code = 0x80; code < 0x34000; code++) {
            const character = code >= 0xd800 && code < 0xe000 ? '' : String.fromCodePoint(code);
            for (const name of character ? [character, 'a' + character] : []) {
                if (takes(name)) taken.push('https://xn--' + encode(name));
            }
        }
        console.log(JSON.stringify(taken));";
    let output = Command::new("node").args(["--no-deprecation", "-e", SCRIPT]).output()?;
    let taken: Vec<String> = serde_json::from_slice(&output.stdout)?;
    let taken: Vec<&str> = taken.iter().map(|origin| &**origin).collect();
    // A list has at most a thousand items.
    let wrong: Vec<_> = taken.chunks(1_000).flat_map(violations).collect();
    if taken.len() > 100_000 && wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("Node takes {} names, and of them the policy refuses {wrong:?}", taken.len()).into())
    }
}

pub fn trials() -> Vec<Trial> {
    let has_node = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_node {
        println!("SKIPPED: there is no node on PATH, so the table of origins was not compared with Node's own URLs");
    }
    let mut trials = vec![
        Trial::test("the origins are those of Node's URLs", by_node).with_ignored_flag(!has_node),
        Trial::test("no name is refused that Node's URLs take", names_by_node).with_ignored_flag(!has_node),
    ];
    for (shown, sent) in ORIGINS {
        trials.push(Trial::test(format!("the origin of {shown:?}"), || judge(shown, *sent)));
    }
    for (shown, reason, mend) in NEVER_SENT {
        trials.push(Trial::test(format!("{shown:?} {reason}"), || explain(shown, reason, mend)));
    }
    trials
}
