//! Tests the command as people use it: arguments, output and exit code.

#[cfg(feature = "cluster")]
mod cluster;
mod config;
mod deployments;
mod fix;
mod formats;
#[cfg(feature = "modules")]
mod hostile_modules;
mod ignored;
mod pairs;
#[cfg(feature = "modules")]
mod registry;
mod scope;
mod secrets;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The result of a run.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn flytewarden() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flytewarden"));
    command.current_dir(root()).env_remove("CLICOLOR_FORCE");
    command
}

fn run(arguments: &[&str], input: &str) -> Run {
    run_with(arguments, input, &[])
}

fn run_with(arguments: &[&str], input: &str, environment: &[(&str, &Path)]) -> Run {
    let mut child = flytewarden()
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that rejects its arguments does not read its input.
    match child.stdin.take().unwrap().write_all(input.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => panic!("{error}"),
        _ => {}
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn check(input: &str) -> Run {
    run(&["check", "-"], input)
}

/// Creates a folder with files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

const GOOD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: flytepropeller, securityContext: {runAsUser: 1}}]}\n";
const BAD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec:\n  containers:\n  - name: a\n    securityContext:\n      runAsUser: 0\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n";

#[test]
fn manifests_without_violations_exit_with_0() {
    let run = check(GOOD);
    assert_eq!((Some(0), ""), (run.code, &*run.err));
    assert!(run.out.ends_with("\n1 object checked: no violations.\n"), "{}", run.out);
}

#[test]
fn violations_exit_with_1_and_name_object_line_path_reason_and_fix() {
    let run = check(&format!("{GOOD}---\n{BAD}"));
    assert_eq!(Some(1), run.code);
    let expected = "\
Pod bad  <stdin>:6
  ✗ spec.containers[0] \"a\"  line 11, flyte-non-root/runs-as-root, high
    runs as root (runAsUser: 0)
    → set securityContext.runAsUser to a non-zero uid that the image can run as

Flyte's Security Overview
  holds      components run as a non-root user
  holds      the exception check-db-ready is as documented
  not shown  flyteadmin allows only listed origins, as browsers send them
             found none of flyteadmin's ConfigMaps; add those that it mounts
  not shown  flyteconsole is given an address that browsers can call
             found no flyteconsole; add its Deployment
  not shown  flyteadmin accepts calls from flyteconsole
             found no flyteconsole; add its Deployment
  not shown  OAuth uses a certificate from a trusted CA, or another provider
             found no Ingress or route with a certificate in front of flyteadmin; add one and its Secret

2 objects checked: 1 violation in 1 object.
";
    assert_eq!(expected, run.out);
}

#[test]
fn objects_that_no_policy_covers_are_counted_and_are_not_violations() {
    let run = check(&format!("{GOOD}---\n{SERVICE}---\n{SERVICE}"));
    assert_eq!(Some(0), run.code);
    assert!(
        run.out.ends_with(
            "\n1 object checked: no violations. 2 other objects are not covered by any policy (2 Service).\n"
        ),
        "{}",
        run.out
    );
}

#[test]
fn an_empty_input_fails_the_check() {
    for input in ["", "---\n", "# nothing\n", "null"] {
        let run = check(input);
        assert_eq!(Some(2), run.code, "{input:?}");
        assert!(run.out.contains("not checked  <stdin>\n    contains no Kubernetes object"), "{}", run.out);
    }
}

#[test]
fn unreadable_documents_exit_with_2_and_the_rest_is_checked() {
    let run = check(&format!("{BAD}---\na: [\n---\n{GOOD}---\njust text\n"));
    assert_eq!(Some(2), run.code);
    assert!(run.out.contains("runs as root"), "{}", run.out);
    assert!(run.out.contains("not checked  <stdin>:10 (document 2)"), "{}", run.out);
    assert!(run.out.contains("not checked  <stdin>:17 (document 4)"), "{}", run.out);
    assert!(run.out.contains("2 objects checked: 1 violation in 1 object. 2 could not be checked."), "{}", run.out);
}

#[test]
fn a_wrong_type_is_reported_with_its_place() {
    let run = check(&BAD.replace("runAsUser: 0", "runAsUser: root"));
    assert_eq!(Some(2), run.code);
    assert!(run.out.starts_with("not checked  <stdin>:8 (document 1)  Pod bad  flyte-non-root\n"), "{}", run.out);
    let reason = "spec.containers[0].securityContext.runAsUser: must be a whole number from 0 to 2147483647";
    assert!(run.out.contains(reason), "{}", run.out);
    assert!(run.out.ends_with("0 objects checked. 1 could not be checked.\n"), "{}", run.out);
}

#[test]
fn input_made_to_exhaust_the_reader_is_rejected() {
    let bomb: String = (1..12)
        .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(",")))
        .collect();
    for input in [format!("{BAD}a0: &a0 x\n{bomb}"), format!("{BAD}deep: {}{}", "[".repeat(10_000), "]".repeat(10_000))]
    {
        let run = check(&input);
        assert_eq!((Some(2), ""), (run.code, &*run.err));
        assert!(run.out.contains("not checked  <stdin>:"), "{}", run.out);
    }
}

#[test]
fn a_mebibyte_of_data_does_not_prevent_a_check() {
    let run = check(&format!("{BAD}# \ndata: {}\n", "x".repeat(1 << 20)));
    assert_eq!(Some(1), run.code, "{:.500}", run.out);
}

#[test]
fn files_and_folders_are_read_in_order() {
    let folder = folder(&[
        ("b.yaml", BAD.as_bytes()),
        ("a/deep/good.yml", GOOD.as_bytes()),
        (
            "c.json",
            br#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "json"}, "spec": {"containers": [{}]}}"#,
        ),
        ("README.md", b"no manifest"),
    ]);
    let run = run(&["check", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(1), run.code);
    let bad = run.out.find("Pod bad").expect(&run.out);
    let json = run.out.find("Pod json").expect(&run.out);
    assert!(bad < json, "{}", run.out);
    assert!(run.out.contains("3 objects checked: 2 violations in 2 objects."), "{}", run.out);
}

#[test]
fn unreadable_files_exit_with_2() {
    let folder = folder(&[("latin1.yaml", b"a: \xe9"), ("empty/README.md", b""), ("good.yaml", GOOD.as_bytes())]);
    for (name, reason) in [
        ("missing.yaml", "No such file"),
        ("latin1.yaml", "not UTF-8 at byte 3"),
        ("empty", "it contains no .yaml, .yml or .json file to check"),
    ] {
        let run = run(&["check", &path(&folder, "good.yaml"), &path(&folder, name)], "");
        assert_eq!(Some(2), run.code, "{name}");
        assert!(run.out.contains(reason), "{}", run.out);
        assert!(run.out.contains("1 object checked: no violations. 1 could not be checked."), "{}", run.out);
    }
}

#[test]
fn an_unrendered_chart_gets_a_hint() {
    let run = check("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n");
    assert_eq!(Some(2), run.code);
    assert!(run.out.contains("`helm template` renders it"), "{}", run.out);
}

#[test]
fn settings_come_from_a_file_by_policy_name() {
    let folder = folder(&[
        ("good.yaml", GOOD.as_bytes()),
        ("restricted.yaml", b"flyte-non-root:\n  level: restricted\n"),
        ("policy.yaml", b"# settings\nflyte-nonroot: {}\n"),
        ("key.yaml", b"flyte-non-root:\n  levle: restricted\n"),
        (
            "value.yaml",
            b"flyte-non-root:\n  level: effective\n  exceptions:\n  - initContainer: a\n    workloads: [b]\n",
        ),
        ("twice.yaml", b"flyte-non-root: {}\nflyte-non-root: {}\n"),
        ("two.yaml", b"flyte-non-root: {}\n---\nflyte-non-root: {}\n"),
        ("list.yaml", b"- a\n"),
        ("bad.yaml", b"a: [\n"),
    ]);
    let with =
        |settings: &str| run(&["check", "--settings", &path(&folder, settings), &path(&folder, "good.yaml")], "");
    assert_eq!(Some(1), with("restricted.yaml").code);
    for (settings, problem) in [
        ("policy.yaml", "policy.yaml: line 2: unknown policy flyte-nonroot; did you mean flyte-non-root?"),
        ("key.yaml", "key.yaml: line 2: flyte-non-root: unknown field `levle`"),
        ("value.yaml", "value.yaml: line 4: flyte-non-root: exceptions[0].images: is required"),
        ("twice.yaml", "twice.yaml: line 2: the key flyte-non-root is given twice"),
        ("two.yaml", "two.yaml: line 3: settings must be one document"),
        ("list.yaml", "list.yaml: line 1: must be a map from policy names to their settings"),
        ("bad.yaml", "bad.yaml: line "),
        ("missing.yaml", "missing.yaml: No such file"),
    ] {
        let run = with(settings);
        assert_eq!((Some(2), ""), (run.code, &*run.out), "{settings}");
        assert!(run.err.starts_with("error: settings ") && run.err.contains(problem), "{}", run.err);
    }
}

#[test]
#[cfg(not(feature = "modules"))]
fn a_command_without_the_engine_says_how_to_get_one() {
    for arguments in [&["check", "--module", "a.wasm", "-"][..], &["push", "a.wasm", "localhost/a:b"]] {
        let run = run(arguments, BAD);
        assert_eq!((Some(2), ""), (run.code, &*run.out));
        assert!(run.err.contains("--features modules"), "{}", run.err);
    }
}

#[test]
#[cfg(feature = "modules")]
fn another_module_takes_the_place_of_the_built_in_ones() {
    let folder = folder(&[("bad.yaml", BAD.as_bytes()), ("text.wasm", b"text"), ("bare.wasm", b"\0asm\x01\0\0\0")]);
    let with = |module: &str| run(&["check", "--module", module, &path(&folder, "bad.yaml")], "");
    let all = with("dist/flytewarden.wasm");
    assert_eq!(Some(1), all.code);
    assert!(all.out.contains("flyte-non-root/runs-as-root"), "{}", all.out);
    for (module, problem) in [
        (path(&folder, "text.wasm"), "it is not a WebAssembly module"),
        (path(&folder, "bare.wasm"), "it has no metadata"),
        (path(&folder, "missing.wasm"), "No such file"),
    ] {
        let run = with(&module);
        assert_eq!((Some(2), ""), (run.code, &*run.out), "{module}");
        assert!(run.err.contains(problem), "{}", run.err);
    }
}

#[test]
fn an_option_sets_the_namespace_of_objects_without_one() {
    let folder = folder(&[(
        "settings.yaml",
        b"flyte-non-root: {exceptions: [{initContainer: a, images: [b], namespaces: [flyte]}]}",
    )]);
    let pod =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: flyteadmin}\nspec: {initContainers: [{name: a, image: b}]}\n";
    let settings = path(&folder, "settings.yaml");
    assert_eq!(Some(1), run(&["check", "--settings", &settings, "-"], pod).code);
    assert_eq!(Some(0), run(&["check", "--settings", &settings, "--namespace", "flyte", "-"], pod).code);
}

#[test]
fn policies_are_listed_on_one_line_each() {
    let run = run(&["check", "--list"], "");
    assert_eq!(Some(0), run.code);
    let lines: Vec<&str> = run.out.lines().collect();
    let policies = fs::read_dir(root().join("policies")).unwrap().map(Result::unwrap);
    let policies = policies.filter(|entry| entry.path().is_dir()).count();
    // One of the folders is that of a variant, which is listed with its policy.
    assert_eq!(policies - 1, lines.len(), "{}", run.out);
    let is_listed = |line: &str| lines.iter().any(|listed| listed.starts_with(line));
    assert!(is_listed("flyte-admin-cors   flyteadmin allows CORS only for listed origins"), "{}", run.out);
    assert!(is_listed("flyte-non-root     Flyte's components run as a non-root user"), "{}", run.out);
}

/// Each line of output in the page about the command must be printed. `...` stands for lines that it leaves out.
#[test]
fn the_documented_runs_match_the_output() {
    let page = fs::read_to_string(root().join("docs/command.md")).unwrap();
    let mut shown = 0;
    for block in page.split("```console\n$ target/release/flytewarden ").skip(1) {
        let (arguments, lines) = block.split_once("```").unwrap().0.split_once('\n').unwrap();
        let output = flytewarden().args(arguments.split(' ')).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        for line in lines.lines().filter(|line| !matches!(*line, "..." | "")) {
            assert!(out.lines().any(|printed| printed == line), "{line}\n\n{out}");
            shown += 1;
        }
    }
    assert!(shown > 5, "the page shows {shown} lines");
}

/// Wraps a report at some columns, and compares it with `COLUMNS-before.txt` in this folder.
#[test]
fn a_report_is_wrapped_for_the_terminal() {
    let report = run(&["check", "examples/before.yaml"], "").out;
    for columns in [80, 50] {
        let file = root().join(format!("cli/tests/command/{columns}-before.txt"));
        let wrapped = flytewarden_formats::text::wrapped(&report, columns);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &wrapped).unwrap();
        }
        assert!(wrapped == fs::read_to_string(&file).unwrap(), "{}: BLESS=1 makes it anew", file.display());
        for line in wrapped.lines().filter(|line| line.chars().count() > columns) {
            // A longer word stays whole, after the mark of its line.
            assert!(line.split_whitespace().count() <= 2, "{line}");
        }
    }
}

#[test]
fn colour_is_for_terminals() {
    assert!(!check(BAD).out.contains('\u{1b}'));
}

#[test]
fn names_cannot_move_the_cursor() {
    let manifest = BAD.replace("name: bad", r#"name: "\e[2Jall\ngood""#).replace("name: a", r#"name: "\u202eb""#);
    let run = check(&manifest);
    assert!(run.out.starts_with(r"Pod \u{1b}[2Jall\u{a}good  <stdin>:1"), "{}", run.out);
    assert!(run.out.contains(r#"containers[0] "\u{202e}b""#), "{}", run.out);
    let folder = folder(&[("\u{1b}[2J.yaml", BAD.as_bytes())]);
    assert!(!crate::run(&["check", folder.path().to_str().unwrap()], "").out.contains('\u{1b}'));
}

#[test]
fn invisible_characters_are_escaped() {
    let hidden = ["\u{200b}", "\u{ad}", "\u{feff}", "\u{e0041}", "\u{a0}", "\u{2066}"];
    for hidden in hidden {
        let escape: String = hidden.chars().flat_map(char::escape_unicode).collect();
        let manifest = BAD.replace("name: bad", &format!("name: 'b{hidden}ad'"));
        let folder = folder(&[(&format!("x{hidden}y.yaml"), manifest.as_bytes())]);
        let found = crate::run(&["check", folder.path().to_str().unwrap()], "");
        assert!(!found.out.contains(hidden), "{}", found.out);
        assert!(found.out.contains(&format!("Pod b{escape}ad")), "{}", found.out);
        assert!(found.out.contains(&format!("x{escape}y.yaml")), "{}", found.out);
        let missing = crate::run(&["check", "--settings", &format!("s{hidden}"), "-"], &manifest);
        assert!(missing.err.contains(&format!("settings s{escape}: ")), "{}", missing.err);
        let no_kind = format!("---\napiVersion: v1\nkind: 'K{hidden}x'\n");
        for format in ["text", "sarif", "junit"] {
            let found = crate::run(&["check", "--format", format, "-"], &format!("{manifest}{no_kind}"));
            assert!(!found.out.contains(hidden), "{}", found.out);
        }
    }
}

#[test]
fn endless_input_is_read_only_up_to_the_limit() {
    for arguments in [&["/dev/zero"][..], &["--settings", "/dev/zero", "-"], &["--image-users", "/dev/zero", "-"]] {
        let run = run(&[&["check"], arguments].concat(), BAD);
        assert_eq!(Some(2), run.code, "{arguments:?}");
        assert!(format!("{}{}", run.out, run.err).contains("it is larger than the "), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn a_closed_pipe_does_not_crash_the_command() {
    let many = format!("{BAD}---\n").repeat(1_000);
    let folder = folder(&[("many.yaml", many.as_bytes())]);
    for format in ["text", "json"] {
        let mut child = flytewarden()
            .args(["check", "--format", format, &path(&folder, "many.yaml")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((Some(1), ""), (output.status.code(), &*String::from_utf8_lossy(&output.stderr)));
    }
}

#[cfg(feature = "modules")]
#[test]
fn modules_are_compiled_once_however_many_manifests_there_are() {
    let names: Vec<String> = (0..1_000).map(|number| format!("{number}.yaml")).collect();
    let one = folder(&[("0.yaml", BAD.as_bytes())]);
    let thousand = folder(&names.iter().map(|name| (&**name, BAD.as_bytes())).collect::<Vec<_>>());
    let time = |folder: &TempDir| {
        let start = std::time::Instant::now();
        let module = "dist/flyte-non-root.wasm";
        assert_eq!(Some(1), run(&["check", "--module", module, folder.path().to_str().unwrap()], "").code);
        start.elapsed()
    };
    let (one, thousand) = (time(&one), time(&thousand));
    // Compiling for each manifest would take about a thousand times as long.
    assert!(thousand < one * 100, "{thousand:?} for a thousand manifests, {one:?} for one");
}

/// Checks the picture in the README, of a terminal with 120 columns. `BLESS=1 cargo test` rewrites it.
#[test]
fn the_picture_of_the_report_is_up_to_date() {
    let output = flytewarden().args(["check", "examples/before.yaml"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert_eq!(Some(1), output.status.code());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains('\u{1b}'), "CLICOLOR_FORCE forces colour");
    let text: Vec<String> = text
        .lines()
        .map(|line| textwrap::fill(line, textwrap::Options::new(120).subsequent_indent("      ")))
        .collect();
    let text = text.join("\n");
    let picture = anstyle_svg::Term::new().render_svg(&format!("$ flytewarden check examples/before.yaml\n\n{text}"));
    let path = root().join("docs/report.svg");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == picture,
        "docs/report.svg is not what `flytewarden check examples/before.yaml` prints; BLESS=1 makes it anew"
    );
}

#[test]
fn rules_are_explained_by_their_names() {
    let one = run(&["explain", "flyte-non-root/runs-as-root"], "");
    assert_eq!((Some(0), ""), (one.code, &*one.err));
    assert!(one.out.starts_with("flyte-non-root/runs-as-root (high)\n  finds: "), "{}", one.out);
    assert_eq!(4, one.out.lines().count(), "{}", one.out);
    let of_two = run(&["explain", "plain-http"], "").out;
    assert!(
        of_two.contains("flyte-admin-cors/plain-http") && of_two.contains("flyte-console-url/plain-http"),
        "{of_two}"
    );
    let all = run(&["explain"], "").out;
    assert!(all.lines().any(|line| line.starts_with("flyte-oauth-tls/long-lived ")), "{all}");
    let of_every_policy = run(&["explain", "flyte-oauth-tls/not-judged"], "");
    assert!(of_every_policy.out.starts_with("flyte-oauth-tls/not-judged (notice)\n"), "{}", of_every_policy.out);
    let unknown = run(&["explain", "runs-as-rot"], "");
    assert_eq!(Some(2), unknown.code);
    assert_eq!("error: unknown rule `runs-as-rot`; did you mean `runs-as-root`?\n", unknown.err);
}
