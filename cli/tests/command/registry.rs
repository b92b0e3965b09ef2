//! Tests hostile registries, on loopback. `e2e-tests/registry.bats` tests the others.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use flytewarden_cli::cache::Digest;
use tempfile::TempDir;

use crate::{BAD, Run, folder, path, run_with};

/// The largest number of bytes that an endless answer may send before its reader closes the connection: the limit, and
/// the buffers of sockets.
const MOST_SENT: usize = 24 << 20;

/// A registry that answers each request by its first line.
struct Registry {
    host: String,
    /// The largest number of bytes that it could send of one answer.
    sent: Arc<AtomicUsize>,
}

/// An answer: its head without the last empty line, its body, and whether endless spaces follow.
type Answer = (String, Vec<u8>, bool);

impl Registry {
    fn serve(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let sent = Arc::new(AtomicUsize::new(0));
        let (own, most, answer) = (host.clone(), Arc::clone(&sent), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, most, answer) = (own.clone(), Arc::clone(&most), Arc::clone(&answer));
                thread::spawn(move || {
                    let sent = handle(&stream, |line| answer(line, &own));
                    most.fetch_max(sent, Ordering::SeqCst);
                });
            }
        });
        Self { host, sent }
    }

    fn check(&self, reference: &str, cache: &TempDir) -> Run {
        let module = format!("registry://{}/{reference}", self.host);
        let environment = [("XDG_CACHE_HOME", cache.path()), ("DOCKER_CONFIG", cache.path())];
        run_with(&["check", "--insecure", "--module", &module, "-"], BAD, &environment)
    }
}

/// Answers the single request of a connection. Returns how many bytes it could send.
fn handle(mut stream: &TcpStream, answer: impl Fn(&str) -> Answer) -> usize {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let (head, body, is_endless) = answer(lines.first().map_or("", |line| line));
    if stream.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).is_err()
        || stream.write_all(&body).is_err()
    {
        return 0;
    }
    let spaces = [b' '; 1 << 16];
    let mut sent = body.len();
    while is_endless && sent < 2 * MOST_SENT && stream.write_all(&spaces).is_ok() {
        sent += spaces.len();
    }
    sent
}

fn ok(body: impl Into<Vec<u8>>) -> Answer {
    ("HTTP/1.1 200 OK".to_owned(), body.into(), false)
}

/// Returns the files in a cache.
fn kept(cache: &TempDir) -> Vec<String> {
    let files = fs::read_dir(cache.path().join("flytewarden/sha256")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn manifest(layer: &Digest, size: u64) -> String {
    let layer = format!(
        r#"{{"mediaType":"application/vnd.wasm.content.layer.v1+wasm","digest":"{}","size":{size}}}"#,
        layer.as_str()
    );
    format!(r#"{{"schemaVersion":2,"config":{{}},"layers":[{layer}]}}"#)
}

#[test]
fn an_answer_is_read_only_up_to_its_limit() {
    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://HOST/token\",service=\"s\"";
    for (it, path, head, problem) in [
        ("a manifest", "manifests/", "HTTP/1.1 200 OK", "its manifest is larger than 4096 KiB"),
        (
            "a manifest by its length",
            "manifests/",
            "HTTP/1.1 200 OK\r\nContent-Length: 3000000000",
            "larger than 4096 KiB",
        ),
        ("an error", "manifests/", "HTTP/1.1 500 Oops", "answered 500"),
        ("a refusal", "manifests/", "HTTP/1.1 404 Not Found", "(404)"),
        ("a challenge without a scheme", "GET /v2/ ", "HTTP/1.1 401 Unauthorized", "larger than 4096 KiB"),
        ("a token", "/token", "HTTP/1.1 200 OK", "the answer with a token is larger than 256 KiB"),
        ("no token", "/token", "HTTP/1.1 403 Forbidden", "denied access (403)"),
    ] {
        let is_token = path == "/token";
        let registry = Registry::serve(move |line, host| {
            if line.contains(path) {
                (head.to_owned(), Vec::new(), true)
            } else if is_token && line.starts_with("GET /v2/ ") {
                (challenge.replace("HOST", host), Vec::new(), false)
            } else {
                ("HTTP/1.1 200 OK".to_owned(), Vec::new(), !line.starts_with("GET /v2/ "))
            }
        });
        let cache = folder(&[]);
        let run = registry.check("policy:v1", &cache);
        assert_eq!((Some(2), ""), (run.code, &*run.out), "{it}: {}", run.err);
        assert!(run.err.contains(problem), "{it}: {}", run.err);
        assert!(registry.sent.load(Ordering::SeqCst) < MOST_SENT, "{it}: {:?}", registry.sent);
        assert!(kept(&cache).is_empty(), "{it}: {:?}", kept(&cache));
    }
}

#[test]
fn an_unreadable_manifest_is_not_cached() {
    for (manifest, problem) in [
        ("", "its manifest cannot be read"),
        ("    ", "its manifest cannot be read"),
        ("{}", "its manifest cannot be read: it has no layers"),
        (r#"{"manifests": []}"#, "it is not a Kubewarden policy"),
        (r#"{"layers": []}"#, "a Kubewarden policy has one layer, but this has 0"),
        (r#"{"layers": [{"mediaType": "x", "digest": "y", "size": -1}]}"#, "its manifest cannot be read"),
        (r#"{"layers": [{"mediaType": "x", "digest": "y", "size": 1}]}"#, "its media type is x"),
    ] {
        let registry = Registry::serve(move |_, _| ok(manifest));
        let cache = folder(&[]);
        let run = registry.check("policy:v1", &cache);
        assert_eq!(Some(2), run.code, "{manifest}");
        assert!(run.err.contains(problem), "{manifest}: {}", run.err);
        assert!(kept(&cache).is_empty(), "{manifest}: {:?}", kept(&cache));
    }
}

#[test]
fn an_invalid_manifest_in_the_cache_is_removed() {
    for content in [" ".repeat(5 << 20), "  ".to_owned()] {
        let digest = Digest::compute(content.as_bytes());
        let name = digest.as_str().strip_prefix("sha256:").unwrap();
        let cache = folder(&[(&format!("flytewarden/sha256/{name}"), content.as_bytes())]);
        let registry = Registry::serve(|_, _| ("HTTP/1.1 404 Not Found".to_owned(), Vec::new(), false));
        let run = registry.check(&format!("policy@{}", digest.as_str()), &cache);
        assert_eq!(Some(2), run.code);
        assert!(run.err.contains("(404)"), "{}", run.err);
        assert!(kept(&cache).is_empty(), "{:?}", kept(&cache));
    }
}

#[test]
fn a_module_longer_than_its_manifest_says_is_rejected() {
    let digest = Digest::compute(b"a module");
    for (size, problem) in
        [(8, "the module is longer than the 8 bytes its manifest says"), (1 << 40, "more than the limit of 134217728")]
    {
        let manifest = manifest(&digest, size);
        let registry = Registry::serve(move |line, _| match line.contains("/blobs/") {
            true => ("HTTP/1.1 200 OK".to_owned(), Vec::new(), true),
            false => ok(manifest.clone()),
        });
        let cache = folder(&[]);
        let run = registry.check("policy:v1", &cache);
        assert_eq!(Some(2), run.code);
        assert!(run.err.contains(problem), "{}", run.err);
        assert!(registry.sent.load(Ordering::SeqCst) < MOST_SENT, "{:?}", registry.sent);
    }
}

#[test]
fn endless_redirects_are_stopped() {
    let registry = Registry::serve(|_, host| {
        (format!("HTTP/1.1 307 On\r\nLocation: http://a:MARKER@{host}/v2/x"), Vec::new(), false)
    });
    let run = registry.check("policy:v1", &folder(&[]));
    assert_eq!(Some(2), run.code);
    assert!(run.err.contains("too many redirects") && !run.err.contains("MARKER"), "{}", run.err);
}

#[test]
fn credentials_of_a_reference_are_neither_used_nor_shown() {
    let module = folder(&[("a.wasm", b"")]);
    let module = path(&module, "a.wasm");
    for reference in ["registry://a:MARKER@localhost:1/p:v1", "https://a:MARKER@b/c", "registry://a:MAR/KER@b/c:v1"] {
        for arguments in [&["check", "--module", reference, "-"][..], &["push", &module, reference]] {
            let run = run_with(arguments, BAD, &[]);
            assert_eq!((Some(2), ""), (run.code, &*run.out), "{reference}");
            assert!(!run.err.contains("MAR") && run.err.contains("...@"), "{}", run.err);
        }
    }
}
