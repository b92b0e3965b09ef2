//! Tests `flytewarden fix`, and the option for the users of images.

use std::{
    fs,
    io::{self, Write},
    process::Command,
};

use crate::{BAD, GOOD, flytewarden, folder, path, run};

const CONSOLE: &str = "\
# Source: flyte/templates/console.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: flyteconsole # the web page
spec:
  template:
    spec:
      containers:
      - name: flyteconsole
        image: cr.flyte.org/flyteorg/flyteconsole:v1.21.0
";

const FILLED: &str = "      securityContext:
        fsGroupChangePolicy: OnRootMismatch
        runAsNonRoot: true
        runAsUser: 1000
";

#[test]
fn a_fix_is_a_diff_that_applies_in_the_working_directory() {
    for named in [".", "./a b/console.yaml", "a b/console.yaml", "*"] {
        let folder = folder(&[("a b/console.yaml", CONSOLE.as_bytes())]);
        let absolute = path(&folder, "a b/console.yaml");
        let named = if named == "*" { &*absolute } else { named };
        let output = flytewarden().args(["fix", "--fill", named]).current_dir(folder.path()).output().unwrap();
        let [diff, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!((Some(0), ""), (output.status.code(), &*said));
        assert_eq!(CONSOLE, fs::read_to_string(&absolute).unwrap());
        assert!(diff.contains("\n+        runAsUser: 1000\n"), "{diff}");

        fs::write(folder.path().join("fix.diff"), diff).unwrap();
        let applied = Command::new("git").args(["apply", "fix.diff"]).current_dir(folder.path()).status().unwrap();
        assert!(applied.success(), "{named}");
        assert_eq!(format!("{CONSOLE}{FILLED}"), fs::read_to_string(&absolute).unwrap());
    }
}

#[test]
fn a_second_fix_changes_nothing() {
    let folder = folder(&[("console.yaml", CONSOLE.as_bytes()), ("good.yaml", GOOD.as_bytes())]);
    let file = path(&folder, "console.yaml");
    let first = run(&["fix", "--fill", "--write", folder.path().to_str().unwrap()], "");
    assert_eq!((Some(0), "", format!("{file}: changed 1 object\n")), (first.code, &*first.out, first.err));
    assert_eq!(format!("{CONSOLE}{FILLED}"), fs::read_to_string(&file).unwrap());
    assert_eq!(GOOD, fs::read_to_string(path(&folder, "good.yaml")).unwrap());

    for arguments in [&["fix", "--fill", "--write", &file][..], &["fix", "--fill", &file], &["fix", &file]] {
        let again = run(arguments, "");
        assert_eq!((Some(0), "", ""), (again.code, &*again.out, &*again.err));
    }
    let checked = run(&["check", &file], "");
    assert!(checked.out.contains("\n1 object checked: no violations.\n"), "{}", checked.out);
}

/// Applies the edits of findings, and reports the remaining violations.
#[test]
fn a_fix_makes_the_changes_that_findings_propose() {
    let admin = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: flyte-admin-config, namespace: flyte}
data:
  server.yaml: |
    server:
      security:
        allowCors: true
        allowedOrigins: # flyteconsole's
        - '*'
        - https://console.example.com/
        allowedHeaders: [flyte-authorization]
";
    let fixed = admin.replace("        - '*'\n", "").replace("console.example.com/", "console.example.com");
    let run = run(&["fix", "--stdout", "-"], admin);
    assert_eq!((Some(0), "", &*fixed), (run.code, &*run.err, &*run.out));
}

#[test]
fn violations_that_need_a_decision_are_counted_and_do_not_prevent_other_fixes() {
    let folder = folder(&[("a.yaml", CONSOLE.as_bytes()), ("b.yaml", BAD.as_bytes())]);
    let run = run(&["fix", "--fill", "--stdout", &path(&folder, "a.yaml"), &path(&folder, "b.yaml")], "");
    assert_eq!((Some(0), "1 violation needs a decision; flytewarden check shows it.\n"), (run.code, &*run.err),);
    assert_eq!(format!("{CONSOLE}{FILLED}---\n{BAD}"), run.out);
}

#[test]
fn objects_of_a_running_cluster_are_reported_and_not_edited() {
    let admin = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: flyte-admin-config, namespace: flyte, uid: 5c0f3bc8-0001-4000-8000-000000000000}
data: {server.yaml: 'server: {security: {allowCors: true, allowedOrigins: [https://console.example.com/]}}'}
";
    let run = run(&["fix", "-"], admin);
    assert_eq!((Some(2), ""), (run.code, &*run.out));
    assert!(
        run.err
            .starts_with("not fixed  <stdin>:1  ConfigMap flyte/flyte-admin-config\n    it is from a running cluster"),
        "{}",
        run.err
    );
}

#[test]
fn unreadable_documents_are_reported_and_the_rest_is_kept() {
    let folder = folder(&[("a.yaml", CONSOLE.as_bytes()), ("b.yaml", b"a: [")]);
    let run = run(&["fix", "--fill", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(2), run.code);
    assert!(run.out.contains("\n+        runAsUser: 1000\n"), "{}", run.out);
    assert!(run.err.contains("\nnot checked  "), "{}", run.err);
    assert!(
        run.err.contains("is outside of the working directory; apply its diff with patch -d / -p1\n"),
        "{}",
        run.err
    );
}

#[test]
fn check_fix_still_works_and_names_the_new_command() {
    let run = run(&["check", "--fix", "-"], CONSOLE);
    assert_eq!(Some(0), run.code);
    assert!(run.out.contains("\n+        runAsUser: 1000\n"), "{}", run.out);
    assert!(run.err.starts_with("warning: check --fix is deprecated; use flytewarden fix --fill\n"), "{}", run.err);
    assert!(run.err.contains("\n1 object checked: no violations.\n"), "{}", run.err);
}

#[test]
fn a_fix_fills_in_the_values_of_the_settings() {
    let folder = folder(&[(
        "settings.yaml",
        b"flyte-non-root: {level: restricted, fill: {'*': {runAsGroup: 7, runAsNonRoot: true}}}",
    )]);
    let run = run(&["fix", "--fill", "--settings", &path(&folder, "settings.yaml"), "-"], CONSOLE);
    assert_eq!(Some(0), run.code, "{}", run.err);
    assert!(run.out.starts_with("--- a/<stdin>\n+++ b/<stdin>\n"), "{}", run.out);
    assert!(
        run.out.ends_with("+      securityContext:\n+        runAsGroup: 7\n+        runAsNonRoot: true\n"),
        "{}",
        run.out
    );
}

#[test]
fn nothing_is_filled_in_without_the_option() {
    let run = run(&["check", "-"], CONSOLE);
    assert_eq!(Some(1), run.code);
    assert!(run.out.contains("flyte-non-root/not-proven-non-root"), "{}", run.out);
}

#[test]
fn violations_that_a_fix_leaves_are_still_reported() {
    let run = run(&["check", "--fix", "-"], BAD);
    assert_eq!((Some(1), ""), (run.code, &*run.out));
    assert!(run.err.contains("flyte-non-root/runs-as-root"), "{}", run.err);
}

#[test]
fn objects_that_cannot_be_edited_are_reported_as_not_fixed() {
    let json = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"flyteconsole\"}, \"spec\": {\"containers\": [{\"name\": \"a\"}]}}\n";
    let folder = folder(&[("pod.json", json.as_bytes()), ("console.yaml", CONSOLE.as_bytes())]);
    let run = run(&["fix", "--fill", "--write", folder.path().to_str().unwrap()], "");
    assert_eq!(Some(2), run.code);
    let file = path(&folder, "pod.json");
    let said = format!("not fixed  {file}:1  Pod flyteconsole\n    JSON cannot be edited\n");
    assert!(run.err.contains(&said), "{}", run.err);
    assert_eq!(json, fs::read_to_string(&file).unwrap());
    assert_eq!(format!("{CONSOLE}{FILLED}"), fs::read_to_string(path(&folder, "console.yaml")).unwrap());
}

#[test]
fn a_file_that_is_given_twice_is_fixed_once() {
    let folder = folder(&[("console.yaml", CONSOLE.as_bytes())]);
    let (file, again) = (path(&folder, "console.yaml"), folder.path().to_str().unwrap().to_owned());
    let run = run(&["fix", "--fill", &file, &again], "");
    assert_eq!(1, run.out.matches("\n+        runAsUser: 1000\n").count(), "{}", run.out);
}

/// Tests files that are reached through symbolic links or have hard links.
#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_that_leaves_the_folder() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let outside = folder(&[("console.yaml", CONSOLE.as_bytes()), ("deep/console.yaml", CONSOLE.as_bytes())]);
    let folder = folder(&[("in/a/console.yaml", CONSOLE.as_bytes()), ("in/hard.yaml", CONSOLE.as_bytes())]);
    let inside = folder.path().join("in");
    fs::set_permissions(inside.join("a/console.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink(outside.path().join("console.yaml"), inside.join("out.yaml")).unwrap();
    symlink(outside.path().join("deep"), inside.join("out")).unwrap();
    symlink("a/console.yaml", inside.join("within.yaml")).unwrap();
    symlink("a", inside.join("b")).unwrap();
    symlink(&inside, folder.path().join("named")).unwrap();
    fs::hard_link(inside.join("hard.yaml"), outside.path().join("hard.yaml")).unwrap();

    for (named, written) in [("out.yaml", false), ("within.yaml", false), ("", true)] {
        let named = folder.path().join("named").join(named);
        // Without --write, the diff covers no other files either.
        let diff = run(&["fix", "--fill", named.to_str().unwrap()], "");
        let run = run(&["fix", "--fill", "--write", named.to_str().unwrap()], "");
        let is_within = named.ends_with("within.yaml");
        assert_eq!((Some(if is_within { 0 } else { 2 }), diff.code), (run.code, run.code), "{named:?}: {}", run.err);
        let said = "\n    a link leads out of the given directory\n";
        assert_eq!(!is_within, run.err.contains(said) && diff.err.contains(said), "{named:?}: {}", run.err);
        let expected = if written { 1 } else { usize::from(is_within) };
        assert_eq!(expected, diff.out.matches("/a/console.yaml\n+++ ").count(), "{}", diff.out);
        for file in ["console.yaml", "deep/console.yaml", "hard.yaml"] {
            assert_eq!(CONSOLE, fs::read_to_string(outside.path().join(file)).unwrap(), "{named:?} {file}");
        }
        if is_within {
            fs::write(inside.join("a/console.yaml"), CONSOLE).unwrap();
        }
    }
    for file in ["a/console.yaml", "hard.yaml", "within.yaml", "b/console.yaml"] {
        assert_eq!(format!("{CONSOLE}{FILLED}"), fs::read_to_string(inside.join(file)).unwrap(), "{file}");
    }
    assert!(fs::symlink_metadata(inside.join("within.yaml")).unwrap().is_symlink());
    assert_eq!(0o640, fs::metadata(inside.join("a/console.yaml")).unwrap().permissions().mode() & 0o777);
    assert_eq!(6, fs::read_dir(&inside).unwrap().count(), "nothing is left beside the files");

    let closed = inside.join("closed.yaml");
    fs::write(&closed, CONSOLE).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o444)).unwrap();
    let run = run(&["fix", "--fill", "--write", closed.to_str().unwrap()], "");
    assert_eq!(Some(2), run.code);
    assert!(run.err.contains("it is read-only"), "{}", run.err);
    assert_eq!(CONSOLE, fs::read_to_string(closed).unwrap());
}

/// Tests file names that could inject lines into a diff, or that need quotes in it.
#[cfg(unix)]
#[test]
fn a_diff_changes_only_its_own_files() {
    let names = [
        "a\n--- a/victim\n+++ b/victim\n@@ -1 +1 @@\n-secret\n+owned\n.yaml",
        "tab\there.yaml",
        "quote\".yaml",
        "back\\slash.yaml",
        "ü\u{200b}.yaml",
        "a b c.yaml",
        "\"a/x.yaml\".yaml",
        "ret\rurn.yaml",
        " b.yaml",
    ];
    let programs = [("git", &["apply", "fix.diff"][..]), ("patch", &["-p1", "--input=fix.diff"])];
    let (there, absent): (Vec<_>, Vec<_>) =
        programs.into_iter().partition(|(program, _)| Command::new(program).arg("--version").output().is_ok());
    for (program, _) in absent {
        // A print macro would only show its output for failed tests.
        let _ = writeln!(io::stderr(), "SKIPPED, since {program} is not on PATH: applying diffs with it");
    }
    for name in names {
        let folder = folder(&[("victim", b"secret\n"), (name, CONSOLE.as_bytes())]);
        let file = folder.path().join(name);
        let mut check = flytewarden();
        check.args(["fix", "--fill", "."]).current_dir(folder.path());
        let diff = check.output().unwrap().stdout;
        fs::write(folder.path().join("fix.diff"), &diff).unwrap();
        let diff = String::from_utf8(diff).unwrap();
        for (program, arguments) in &there {
            fs::write(&file, CONSOLE).unwrap();
            let applied = Command::new(program).args(*arguments).current_dir(folder.path()).output().unwrap();
            assert_eq!("secret\n", fs::read_to_string(folder.path().join("victim")).unwrap(), "{program} {diff}");
            // GNU patch rejects names with line breaks.
            if *program == "git" || !name.contains('\n') {
                assert!(applied.status.success(), "{program}: {applied:?}\n{diff}");
                assert_eq!(format!("{CONSOLE}{FILLED}"), fs::read_to_string(&file).unwrap(), "{program} {diff}");
            }
        }
    }
}

#[test]
#[cfg(feature = "modules")]
fn modules_that_fill_in_nothing_cannot_fix() {
    let module = crate::root().join("dist/flyte-admin-cors.wasm");
    let run = run(&["fix", "--fill", "--module", module.to_str().unwrap(), "-"], CONSOLE);
    let problem = "error: the setting fill needs flyte-non-root, which is not among these policies\n";
    assert_eq!((Some(2), problem), (run.code, &*run.err));
}

#[test]
#[cfg(feature = "modules")]
fn the_module_of_every_policy_fixes_too() {
    for module in ["flytewarden", "flyte-non-root-image-user"] {
        let module = crate::root().join(format!("dist/{module}.wasm"));
        let run = run(&["fix", "--fill", "--module", module.to_str().unwrap(), "-"], CONSOLE);
        assert_eq!(Some(0), run.code, "{}", run.err);
        assert!(run.out.contains("\n+        runAsUser: 1000\n"), "{}", run.out);
    }
}

#[test]
fn standard_input_is_printed_in_the_form_for_a_helm_post_renderer() {
    let filled = run(&["fix", "--fill", "--stdout", "-"], CONSOLE);
    assert_eq!((Some(0), ""), (filled.code, &*filled.err));
    assert_eq!(format!("{CONSOLE}{FILLED}"), filled.out);
    let again = run(&["fix", "--fill", "--stdout", "-"], &filled.out);
    assert_eq!((Some(0), &filled.out), (again.code, &again.out), "as it is, where nothing is left to fill in");
}

#[test]
fn images_have_their_listed_users() {
    for (users, code, said) in [
        ("cr.flyte.org/flyteorg/flyteconsole:v1.21.0: 1000", 0, "runs as 1000 only because of its image's USER"),
        (
            "cr.flyte.org/flyteorg/flyteconsole:v1.21.0: root",
            1,
            "runs as root: runAsUser is not set, and it uses an image with USER root",
        ),
        ("other: 1000", 1, "cr.flyte.org/flyteorg/flyteconsole:v1.21.0 is not in the list of image users"),
    ] {
        let folder = folder(&[("users.yaml", users.as_bytes())]);
        let run = run(&["check", "--image-users", &path(&folder, "users.yaml"), "-"], CONSOLE);
        assert_eq!(Some(code), run.code);
        assert!(run.out.contains(said), "{}", run.out);
    }
}

#[test]
fn without_a_list_the_report_tells_that_images_were_not_checked() {
    let folder = folder(&[("settings.yaml", b"flyte-non-root: {imageUser: check}")]);
    let run = run(&["check", "--settings", &path(&folder, "settings.yaml"), "-"], CONSOLE);
    assert_eq!(Some(1), run.code);
    assert!(
        run.out.contains("It could not be checked: the image users were not given; list them with --image-users FILE"),
        "{}",
        run.out
    );
}

#[test]
fn an_invalid_list_of_users_is_rejected() {
    let folder = folder(&[("users.yaml", b"- a")]);
    let users = path(&folder, "users.yaml");
    let run = run(&["check", "--image-users", &users, "-"], CONSOLE);
    let problem = format!("error: image users {users}: line 1: must be a map; write a map from images to their USER\n");
    assert_eq!((Some(2), problem), (run.code, run.err));
}

#[test]
fn every_violation_of_an_object_is_fixed_although_few_are_listed_at_a_time() {
    let containers: String =
        (0..130).map(|number| format!("  - name: c{number}\n    image: cr.flyte.org/flyteorg/flyteadmin:v1.16.8\n    securityContext: {{runAsUser: 0}}\n")).collect();
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: many}}\nspec:\n  containers:\n{containers}");
    let run = run(&["fix", "--stdout", "-"], &pod);
    assert_eq!((Some(0), ""), (run.code, &*run.err));
    assert!(!run.out.contains("runAsUser: 0"), "{}", run.out);
}

#[test]
fn objects_that_are_ignored_off_or_left_out_are_not_filled_in() {
    const RULE: &str = "flyte-non-root/not-proven-non-root";
    let flyte = CONSOLE.replace("name: flyteconsole # the web page", "{name: flyteconsole, namespace: flyte}");
    let flyte = flyte.replace("metadata:\n  {", "metadata: {");
    let ignored =
        flyte.replace("namespace: flyte", &format!("annotations: {{flytewarden.io/ignore: \"{RULE}: tried\"}}"));
    for (arguments, input) in [
        (&[][..], &ignored),
        (&["--skip", RULE], &flyte),
        (&["--rule", "flyte-non-root/runs-as-root"], &flyte),
        (
            &["--namespaces", "other"],
            &format!("{flyte}---\n{GOOD}").replace("name: good", "name: good, namespace: other"),
        ),
    ] {
        let run = run(&[&["fix", "--fill"], arguments, &["-"]].concat(), input);
        assert_eq!((Some(0), "", ""), (run.code, &*run.out, &*run.err), "{arguments:?} {input}");
    }
    let other = "      - name: sync # flytewarden:ignore flyte-non-root/not-proven-non-root: tried\n        image: cr.flyte.org/flyteorg/flytecopilot:v1\n";
    let mixed = run(&["fix", "--fill", "-"], &format!("{flyte}{other}"));
    assert_eq!((Some(2), ""), (mixed.code, &*mixed.out), "{}", mixed.err);
    assert!(
        mixed.err.contains("it would also fix flyte-non-root/not-proven-non-root, which is ignored"),
        "{}",
        mixed.err
    );
}

#[test]
fn manifests_of_several_files_stay_apart_on_standard_output() {
    let folder = folder(&[
        ("1.yaml", GOOD.as_bytes()),
        ("2.yaml", format!("%YAML 1.1\n---\n{GOOD}").as_bytes()),
        ("3.yaml", format!("# comment\n--- # start\n{GOOD}").trim_end().as_bytes()),
        ("4.yaml", format!("---x: 1\n{GOOD}").as_bytes()),
    ]);
    let run = run(&["fix", "--stdout", folder.path().to_str().unwrap()], "");
    let expected = format!("{GOOD}...\n%YAML 1.1\n---\n{GOOD}# comment\n--- # start\n{GOOD}---\n---x: 1\n{GOOD}");
    assert_eq!(expected, run.out);
}
