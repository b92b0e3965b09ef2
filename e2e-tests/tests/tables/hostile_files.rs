//! ConfigMaps made to exhaust their reader: there is always an answer, in time linear in the size, and in bounded memory.

use std::sync::{Arc, LazyLock};

use flytewarden_cli::engine::Module;
use flytewarden_e2e::{
    cost::Counted,
    modules::{self, loaded},
};
use flytewarden_offline::{cluster::NoCluster, report::Answer};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

/// The most memory an instance may need, in bytes.
const MOST_MEMORY: usize = 64 << 20;

const MEBIBYTE: usize = 1 << 20;

/// The expected outcome for a file.
#[derive(Clone, Copy)]
enum Fate {
    /// Nothing is wrong with it.
    Good,
    /// It is rejected, and the message has these words.
    Refused(&'static str),
    /// It exceeds the limits of the reader, and the message has these words.
    NotJudged(&'static str),
}
use Fate::{Good, NotJudged, Refused};

const HEAD: &str = "server: {security: {allowedOrigins: ['https://console.example.com']}}\n";

/// Repeats a numbered part until the text has about `size` bytes.
fn repeated(size: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for number in 0.. {
        let part = part(number);
        if text.len() + part.len() > size {
            break;
        }
        text += &part;
    }
    text
}

/// Files of about `size` bytes.
fn files(size: usize) -> Vec<(&'static str, String, Fate)> {
    let bomb = repeated(2_000, |number| match number {
        0 => "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
        number => format!("a{number}: &a{number} [{}]\n", vec![format!("*a{}", number - 1); 10].join(",")),
    });
    let chain = repeated(size, |number| match number {
        0 => "a0: &a0 {}\n".to_owned(),
        number => format!("a{number}: &a{number} {{<<: *a{}}}\n", number - 1),
    });
    vec![
        ("an alias bomb", format!("{HEAD}{bomb}"), Refused("its aliases stand for")),
        ("a chain of aliases", format!("{HEAD}{chain}"), NotJudged("more than 128 levels")),
        ("10,000 brackets", format!("{HEAD}a: {}", "[".repeat(10_000)), NotJudged("more than 128 levels")),
        ("10,000 braces", format!("{HEAD}a: {}", "{b: ".repeat(10_000)), NotJudged("more than 128 levels")),
        ("10,000 dashes", format!("{HEAD}a:\n  {}x", "- ".repeat(10_000)), NotJudged("more than 128 levels")),
        ("one line of text", "x".repeat(size), Refused("this is a text, but must be a map")),
        (
            "one line in quotes that never end",
            format!("\"{}", "x".repeat(size)),
            Refused("found unexpected end of stream"),
        ),
        ("one line of a list", format!("{HEAD}a: [{}]", "1,".repeat(size / 2)), Good),
        (
            "one line of a list that never ends",
            format!("a: [{}", "1,".repeat(size / 2)),
            Refused("did not find expected"),
        ),
        (
            "one line of a map",
            format!("{{{}}}", repeated(size, |number| format!("k{number}: v, "))),
            Refused("is not set, and its default"),
        ),
        ("one line of a comment", format!("{HEAD}# {}", "x".repeat(size)), Good),
        ("one line of a key", format!("{HEAD}{}: 1", "x".repeat(size)), Refused("could not find expected ':'")),
        (
            "one line of origins",
            format!("server: {{security: {{allowedOrigins: [{}]}}}}", "a,".repeat(size / 2)),
            NotJudged("more than 10000 values"),
        ),
        (
            "one line of origins in a text",
            format!("server: {{security: {{allowedOrigins: '{}'}}}}", "a,".repeat(size / 2)),
            NotJudged("more than 1000 items"),
        ),
        (
            "one line of an origin",
            format!("server: {{security: {{allowedOrigins: ['https://{}']}}}}", "x".repeat(size)),
            Refused("that is too long"),
        ),
        ("a block of text", format!("{HEAD}a: |\n{}", "  hello world\n".repeat(size / 14)), Good),
        ("a text of many lines", format!("{HEAD}a:{}", "\n x".repeat(size / 3)), Good),
        ("many keys", format!("{HEAD}{}", repeated(size, |number| format!("key{number}: value\n"))), Good),
        (
            "a key that comes again at the end",
            format!("{HEAD}{}key0: 1\n", repeated(size, |number| format!("key{number}: value\n"))),
            Refused("the key `key0` is given twice, first on line 2"),
        ),
        (
            "many anchors",
            format!("{HEAD}a:\n{}", repeated(size.min(100_000), |number| format!("- &a{number} x\n"))),
            Good,
        ),
        (
            "too many anchors",
            format!("{HEAD}a:\n{}", repeated(MEBIBYTE, |number| format!("- &a{number} x\n"))),
            NotJudged("more than 10000 values"),
        ),
        ("many documents", format!("{HEAD}{}", "---\na: 1\n".repeat(size / 9)), Good),
        ("empty lines", format!("{HEAD}{}", "\n".repeat(size)), Good),
        ("question marks", format!("{HEAD}a:\n{}", " ?\n".repeat(size / 3)), Refused("the key `` is given twice")),
        (
            "a map that is merged often",
            format!(
                "{}server: {{<<: [{}], security: {{allowCors: false}}}}\na: [{}]\n",
                wide_map(4_500),
                "*wide,".repeat(40),
                "1,".repeat(size.max(1 << 19) / 2)
            ),
            Good,
        ),
        (
            "many %TAG directives",
            format!("{}---\n{HEAD}", repeated(size, |number| format!("%TAG !{number}! a\n"))),
            NotJudged("more than 100 %TAG directives"),
        ),
    ]
}

/// A map with an anchor.
fn wide_map(keys: usize) -> String {
    let keys: Vec<String> = (0..keys).map(|number| format!("k{number}: 1")).collect();
    format!("wide: &wide {{{}}}\n", keys.join(", "))
}

/// Requests that are hostile in other ways than by a file.
fn requests() -> Vec<(&'static str, String, Fate)> {
    let bad = format!("server: {{security: {{allowedOrigins: [{}]}}}}", "a,".repeat(1_000));
    let flags = |flag: &str| pod(1, &json!({"args": vec![flag; MEBIBYTE / 40]}));
    vec![
        (
            "many files",
            config_map((0..60_000).rev().map(|number| (format!("{number:05}.yaml"), ""))),
            Refused("is not set, and its default"),
        ),
        (
            "a long name of a file",
            config_map([(format!("{}.yaml", "x".repeat(MEBIBYTE / 2)), &*bad)]),
            Refused("and 980 more"),
        ),
        ("many flags", flags("--server.security.allowedOrigins=a"), NotJudged("more than 1000 items")),
        ("many flags that do not exist", flags("--server.security.x"), Refused("more")),
        (
            "many variables",
            pod(1, &json!({"env": vec![json!({"name": "SERVER.SECURITY.ALLOWEDORIGINS", "value": "a,b"}); 10_000]})),
            Refused("no browser ever sends"),
        ),
        (
            "many containers with many origins",
            pod(500, &json!({"env": [{"name": "SERVER.SECURITY.ALLOWEDORIGINS", "value": "a,".repeat(999)}]})),
            Refused("more"),
        ),
    ]
}

fn config_map<'f>(files: impl IntoIterator<Item = (String, &'f str)>) -> String {
    let data: serde_json::Map<String, Value> = files.into_iter().map(|(name, text)| (name, json!(text))).collect();
    request("ConfigMap", &json!({"metadata": {"name": "flyte-admin-config"}, "data": data}))
}

/// A pod with `times` copies of flyteadmin's container, each with more fields.
fn pod(times: usize, more: &Value) -> String {
    let mut container = json!({"name": "flyteadmin", "securityContext": {"runAsUser": 1001}});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request("Pod", &json!({"metadata": {"name": "flyteadmin"}, "spec": {"containers": vec![container; times]}}))
}

fn request(kind: &str, object: &Value) -> String {
    let kind = json!({"group": "", "version": "v1", "kind": kind});
    json!({"request": {"operation": "CREATE", "kind": kind, "object": object}, "settings": {}}).to_string()
}

fn payload(file: &str) -> String {
    config_map([("server.yaml".to_owned(), file)])
}

/// A module, to run it and to count its instructions.
struct Subject {
    module: Arc<Module>,
    counted: Counted,
}

impl Subject {
    fn load(name: &str) -> Self {
        let bytes = modules::bytes(name);
        let counted = Counted::compile(&bytes).expect("the module loads");
        Self { module: loaded(name), counted }
    }
}

static OWN: LazyLock<Subject> = LazyLock::new(|| Subject::load("flyte-admin-cors"));
static WHOLE: LazyLock<Subject> = LazyLock::new(|| Subject::load("flytewarden"));

fn judge(subject: &Subject, title: &str, payload: &str, fate: Fate) -> Result<(), Failed> {
    let cost = subject.counted.cost(payload.as_bytes())?;
    println!("{title}: {} bytes, {} KiB of memory, {} of fuel", payload.len(), cost.memory >> 10, cost.fuel);
    if cost.memory > MOST_MEMORY {
        return Err(format!("{} bytes of memory", cost.memory).into());
    }
    let answer: Answer =
        serde_json::from_slice(&subject.module.guest.call("validate", payload.as_bytes(), Arc::new(NoCluster))?)?;
    let message = answer.message.clone().unwrap_or_default();
    let good = match fate {
        Good => answer.accepted,
        Refused(words) => !answer.accepted && answer.code.is_none() && message.contains(words),
        NotJudged(words) => !answer.accepted && answer.code == Some(400) && message.contains(words),
    };
    if good && message.len() < 10_000 { Ok(()) } else { Err(format!("{answer:.2000?}").into()) }
}

/// Checks that the cost grows at most as much as the size, plus an eighth.
fn is_linear(title: &str, small: &str, large: &str) -> Result<(), Failed> {
    let fuel = |file: &str| Ok::<_, Failed>(OWN.counted.cost(payload(file).as_bytes())?.fuel as f64);
    let (growth, times) = (large.len() as f64 / small.len() as f64, fuel(large)? / fuel(small)?);
    println!("{title}: {times:.1} times the fuel for {growth:.1} times the size");
    if times < growth * 1.125 { Ok(()) } else { Err(format!("{times:.1} times the fuel").into()) }
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    let files_alone = files(MEBIBYTE).into_iter().map(|(title, file, fate)| (title, payload(&file), fate));
    for (title, payload, fate) in files_alone.chain(requests()) {
        for (name, subject) in [("own module", &OWN), ("all-policies module", &WHOLE)] {
            let payload = payload.clone();
            trials.push(Trial::test(format!("{title} ({name})"), move || judge(subject, title, &payload, fate)));
        }
    }
    for ((title, small, _), (_, large, _)) in files(MEBIBYTE / 16).into_iter().zip(files(MEBIBYTE)) {
        trials.push(Trial::test(format!("{title} costs no more than its size"), move || {
            is_linear(title, &small, &large)
        }));
    }
    trials
}
