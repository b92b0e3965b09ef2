//! flyteadmin's CORS for configurations that show how it reads them.
//!
//! Each row has the result of flyteadmin v1.16.8 itself, and the upstream line that it follows from. If flyteadmin does
//! not start, or another release reads the files differently, the row says that.

use super::{
    Security,
    files::{Config, File},
};

/// The upstream lines of the rules.
const DEFAULTS: &str = "flyteadmin/pkg/config/serverconfig_flags.go:63";
const ZERO: &str = "flyteadmin/pkg/config/config.go:145";
const RESTORE_LISTS: &str = "flytestdlib/config/viper/viper.go:301 restoreCaseSensitiveArrayKeys";
const RESTORE_DOTS: &str = "flytestdlib/config/viper/viper.go:336 restoreDottedMapKeys";
const SPLIT: &str = "flytestdlib/config/viper/viper.go:481 StringToSliceHookFunc";
const MERGE: &str = "viper v1.21.0 viper.go:1806 mergeMaps";
const FIND: &str = "viper v1.21.0 viper.go:1149 find";
const LOWER: &str = "viper v1.21.0 util.go:84 insensitiviseMap";
const BOOL: &str = "mapstructure v2.4.0 mapstructure.go:822 decodeBool";
const STRING: &str = "mapstructure v2.4.0 mapstructure.go:643 decodeString";
const SLICE: &str = "mapstructure v2.4.0 mapstructure.go:1240 decodeSlice";
const STRUCT: &str = "mapstructure v2.4.0 mapstructure.go:1375 decodeStruct";
const RESOLVE: &str = "yaml v3.0.1 resolve.go:126 resolve";
const UNIQUE: &str = "yaml v3.0.1 decode.go:769 uniqueKeys";
const MERGE_KEY: &str = "yaml v3.0.1 decode.go:959 merge";
const MERGE_V2: &str = "yaml v2.4.0 decode.go:786 merge, which writes over what stands before";
const RESOLVE_V2: &str = "yaml v2.4.0 resolve.go, for which the tag `!` makes a text";
const DOCUMENT: &str = "yaml v3.0.1 decode.go, unmarshal of the first document into a map";

/// The options as flow maps of `server.security`, one per file, and the result.
const OPTIONS: &[(&str, &[&str], &str)] = &[
    // Defaults.
    (DEFAULTS, &["{}"], "on [*]"),
    (DEFAULTS, &["{secure: true}"], "on [*]"),
    (DEFAULTS, &["{allowCors: false}"], "off [*]"),
    (DEFAULTS, &["{allowedOrigins: [a]}"], "on [a]"),
    (FIND, &["{allowedOrigins: null}"], "on [*]"),
    (FIND, &["{allowCors: ~}"], "on [*]"),
    (FIND, &["null"], "on [*]"),
    // Booleans.
    (BOOL, &["{allowCors: 'false'}"], "off [*]"),
    (BOOL, &["{allowCors: F}"], "off [*]"),
    (BOOL, &["{allowCors: '1'}"], "on [*]"),
    (BOOL, &["{allowCors: ''}"], "off [*]"),
    (BOOL, &["{allowCors: 0}"], "off [*]"),
    (BOOL, &["{allowCors: 0x0}"], "off [*]"),
    (BOOL, &["{allowCors: 0.0e5}"], "off [*]"),
    (BOOL, &["{allowCors: -2.5}"], "on [*]"),
    (BOOL, &["{allowCors: .nan}"], "on [*]"),
    (BOOL, &["{allowCors: tRUE}"], "never starts"),
    (BOOL, &["{allowCors: 'yes'}"], "never starts"),
    (BOOL, &["{allowCors: ' true'}"], "never starts"),
    (BOOL, &["{allowCors: [true]}"], "never starts"),
    (BOOL, &["{allowCors: {}}"], "never starts"),
    (BOOL, &["{allowCors: 2024-01-01}"], "never starts"),
    (BOOL, &["{secure: maybe}"], "never starts"),
    (RESOLVE, &["{allowCors: yes}"], "two meanings"),
    (RESOLVE, &["{allowCors: Off}"], "two meanings"),
    (RESOLVE, &["{allowCors: !!bool yes}"], "never starts"),
    (RESOLVE, &["{allowCors: !!str 0}"], "off [*]"),
    (RESOLVE, &["{allowCors: !!int x}"], "never starts"),
    // Lists.
    (SLICE, &["{allowedOrigins: []}"], "on []"),
    (SLICE, &["{allowedOrigins: {}}"], "on []"),
    (SLICE, &["{allowedOrigins: {a: b}}"], "never starts"),
    (SLICE, &["{allowedOrigins: [[a]]}"], "never starts"),
    (SLICE, &["{allowedOrigins: [{a: b}]}"], "never starts"),
    (SLICE, &["{allowedOrigins: 5}"], "on [5]"),
    (SLICE, &["{allowedOrigins: true}"], "on [1]"),
    (SPLIT, &["{allowedOrigins: ''}"], "on []"),
    (SPLIT, &["{allowedOrigins: a}"], "on [a]"),
    (SPLIT, &["{allowedOrigins: 'a, b'}"], "on [a| b]"),
    (SPLIT, &["{allowedOrigins: 'a,'}"], "on [a|]"),
    (SPLIT, &["{allowedOrigins: ['a,b']}"], "on [a,b]"),
    (STRING, &["{allowedOrigins: [1, -1, 0x10, 017, false, null, '']}"], "on [1|-1|16|15|0||]"),
    (STRING, &["{allowedOrigins: [2024-01-01]}"], "never starts"),
    (RESOLVE, &["{allowedOrigins: [no]}"], "two meanings"),
    (RESOLVE, &["{allowedHeaders: on}"], "two meanings"),
    (RESOLVE_V2, &["{allowCors: ! 2}"], "two meanings"),
    (RESOLVE_V2, &["{allowedOrigins: [! ~]}"], "two meanings"),
    (RESOLVE_V2, &["{allowedOrigins: [! a, ! 'true']}"], "on [a|true]"),
    // `<<`.
    (MERGE_KEY, &["{<<: {allowCors: true}, allowCors: false}"], "off [*]"),
    (MERGE_V2, &["{allowCors: false, <<: {allowCors: true}}"], "two meanings"),
    (MERGE_V2, &["{allowCors: false, <<: {allowCors: F}}"], "off [*]"),
    (MERGE_V2, &["{allowCors: false, <<: {allowCors: maybe}}"], "two meanings"),
    (MERGE_V2, &["{allowCors: true, <<: {allowCors: null}}"], "on [*]"),
    (MERGE_V2, &["{allowedOrigins: [a], <<: {allowedOrigins: ['*']}}"], "two meanings"),
    (MERGE_V2, &["{allowedOrigins: [a], <<: {allowedOrigins: [a]}}"], "on [a]"),
    (MERGE_V2, &["{allowedOrigins: [a], <<: {allowedOrigins: a}}"], "on [a]"),
    (MERGE_V2, &["{allowedOrigins: [a], <<: {secure: true}}"], "on [a]"),
    (MERGE_V2, &["{secure: true, <<: {secure: false}}"], "on [*]"),
    (MERGE_V2, &["{allowCors: false, <<: [{useAuth: true}, {allowCors: true}]}"], "two meanings"),
    (MERGE_V2, &["{allowCors: false, <<: [{allowCors: false}, {allowCors: true}]}"], "off [*]"),
    (MERGE_V2, &["{<<: [{allowCors: false}, {allowCors: true}]}"], "off [*]"),
    (MERGE_V2, &["{<<: [{<<: {allowCors: false}}, {allowCors: true}]}"], "off [*]"),
    (MERGE_V2, &["{<<: {allowCors: false, <<: {allowCors: true}}}"], "two meanings"),
    (MERGE_V2, &["{<<: {<<: {allowCors: true}, allowCors: false}}"], "off [*]"),
    (MERGE_V2, &["{allowCors: false, <<: {<<: {allowCors: true}}}"], "two meanings"),
    (MERGE_V2, &["{<<: {<<: {allowCors: true}}, allowCors: false}"], "off [*]"),
    (MERGE_V2, &["{allowCors: false, <<: {AllowCors: true}}"], "two meanings"),
    (MERGE_V2, &["{allowCors: false, !!merge '<<': {allowCors: true}}"], "two meanings"),
    (MERGE_V2, &["{allowCors: false, '<<': {allowCors: true}}"], "off [*]"),
    (MERGE_V2, &["{allowCors: false, <<: {allowCors: true}}", "{allowCors: false}"], "off [*]"),
    (UNIQUE, &["{<<: {allowCors: true}, <<: {allowCors: false}}"], "never starts"),
    // Case.
    (LOWER, &["{ALLOWCORS: false, allowedorigins: [a]}"], "off [a]"),
    (LOWER, &["{AllowCors: false}", "{allowcors: true}"], "on [*]"),
    (LOWER, &["{allowCors: false, AllowCors: true}"], "two meanings"),
    // Several files.
    (MERGE, &["{allowedOrigins: [a]}", "{allowCors: false}"], "off [a]"),
    (MERGE, &["{allowedOrigins: [a, b]}", "{allowedOrigins: [c]}"], "on [c]"),
    (MERGE, &["{allowedOrigins: [a]}", "{allowedOrigins: 'b,c'}"], "on [b|c]"),
    (MERGE, &["{allowedOrigins: [a]}", "{allowedOrigins: null}"], "on [*]"),
    (MERGE, &["{allowCors: false}", "{allowCors: null}"], "on [*]"),
    (MERGE, &["{allowedOrigins: [a]}", "null"], "on [a]"),
    (MERGE, &["{allowedOrigins: [a]}", "5"], "on [a]"),
    (MERGE, &["5", "{allowedOrigins: [a]}"], "on [a]"),
    (MERGE, &["{allowedOrigins: {a: b}}", "{allowedOrigins: [c]}"], "never starts"),
    (RESTORE_LISTS, &["{allowedOrigins: 'a,b'}", "{allowedOrigins: [c]}"], "two meanings"),
    (RESTORE_LISTS, &["{allowedOrigins: null}", "{allowedOrigins: [c]}"], "on [c]"),
    (STRUCT, &["[]"], "never starts"),
    (STRUCT, &["[{allowCors: false}]"], "never starts"),
    (STRUCT, &["''"], "never starts"),
    // The others.
    (DEFAULTS, &["{allowedHeaders: [a, b], useAuth: 1}"], "on [*] with a|b and authentication"),
    (SPLIT, &["{allowedHeaders: 'a,b'}"], "on [*] with a|b"),
];

/// Whole files.
const FILES: &[(&str, &[&str], &str)] = &[
    (DEFAULTS, &[], "on [*]"),
    (DOCUMENT, &["# nothing\n"], "on [*]"),
    (DOCUMENT, &["logger: {level: 5}"], "on [*]"),
    (DOCUMENT, &["[]"], "never starts"),
    (DOCUMENT, &["text"], "never starts"),
    (DOCUMENT, &["server: {security: {allowCors: false}}\n---\nserver: {security: {allowCors: true}}"], "off [*]"),
    (DOCUMENT, &["---\n---\nserver: {security: {allowCors: false}}"], "on [*]"),
    (DOCUMENT, &["server: {security: {allowCors: false}", ""], "never starts"),
    (DOCUMENT, &["server:\n\tsecurity: {}"], "never starts"),
    (DOCUMENT, &["server: {security: {allowedOrigins: [*]}}"], "never starts"),
    (DOCUMENT, &["%YAML 1.2\n---\nserver: {}"], "never starts"),
    (LOWER, &["SERVER: {Security: {ALLOWEDORIGINS: [a]}}"], "on [a]"),
    (MERGE, &["server: {security: {allowCors: false}}", "server: {httpPort: 8088}"], "off [*]"),
    (STRUCT, &["server: 5"], "never starts"),
    (UNIQUE, &["server: {}\nserver: {security: {allowCors: false}}"], "never starts"),
    (UNIQUE, &["a: {b: 1, b: 2}"], "never starts"),
    (MERGE_KEY, &["a: &a {security: {allowCors: false}}\nserver: {<<: *a}"], "off [*]"),
    (MERGE_KEY, &["a: &a {allowCors: false}\nserver: {security: {<<: [*a, {allowCors: true}]}}"], "off [*]"),
    (MERGE_KEY, &["a: &a {allowCors: false}\nserver: {security: {<<: *a, allowCors: true}}"], "on [*]"),
    (MERGE_KEY, &["<<: {server: {security: {allowCors: false}}}"], "off [*]"),
    (MERGE_KEY, &["a: {<<: 5}"], "never starts"),
    (MERGE_V2, &["server: {security: {allowCors: false}}\n<<: {server: {httpPort: 8088}}"], "two meanings"),
    (MERGE_V2, &["server: {security: {allowCors: true}}\n<<: {server: {httpPort: 8088}}"], "on [*]"),
    (MERGE_V2, &["server: {httpPort: 8088}\n<<: {server: {httpPort: 8089}}"], "on [*]"),
    (MERGE_V2, &["server: {security: {}, <<: {security: {allowCors: false}}}"], "two meanings"),
    (MERGE_V2, &["server: {security: {}}\n<<: {server: {security.allowCors: false}}"], "two meanings"),
    (MERGE_V2, &["server: {security: {}}\n<<: {server: 5}"], "two meanings"),
    (MERGE_V2, &["a: &a {allowCors: true}\nserver: {security: {allowCors: false, <<: *a}}"], "two meanings"),
    (MERGE_V2, &["a: &a {allowCors: true}\nserver: {security: {allowCors: false, <<: [*a]}}"], "two meanings"),
    (DOCUMENT, &["a: &a [b]\nserver: {security: {allowedOrigins: *a}}"], "on [b]"),
    (DOCUMENT, &["server: {security: {allowedOrigins: *a}}"], "never starts"),
    (RESTORE_DOTS, &["server.security.allowedOrigins: [a]"], "two meanings"),
    (RESTORE_DOTS, &["server: {security.allowCors: true}"], "two meanings"),
    (RESTORE_DOTS, &["server.httpPort: 8088"], "on [*]"),
];

fn shown(files: &[String]) -> String {
    let path = |index| format!("{index:03}.yaml");
    let files: Vec<File> = files
        .iter()
        .enumerate()
        .map(|(index, text)| File { path: path(index), text: text.as_bytes().into() })
        .collect();
    let mut config = Config::merge(&files).expect("every file is read");
    let security = config.security().expect("its lists are short");
    match config.faults.first() {
        Some(fault) if fault.kind == super::FaultKind::NeverStarts => "never starts".to_owned(),
        Some(_) => "two meanings".to_owned(),
        None => effective(security),
    }
}

fn effective(security: Security) -> String {
    let texts = |items: Vec<super::Item>| items.into_iter().map(|item| item.text).collect::<Vec<_>>().join("|");
    let cors = if security.allow_cors.unwrap().value { "on" } else { "off" };
    let headers = security.allowed_headers.filter(|headers| headers.place.is_some());
    let headers = headers.map_or(String::new(), |headers| format!(" with {}", texts(headers.value)));
    let authentication = if security.use_auth.unwrap().value { " and authentication" } else { "" };
    format!("{cors} [{}]{headers}{authentication}", texts(security.allowed_origins.unwrap().value))
}

#[test]
fn options_are_read_as_flyteadmin_reads_them() {
    for (source, files, expected) in OPTIONS {
        let files: Vec<String> = files.iter().map(|file| format!("server:\n  security: {file}\n")).collect();
        assert_eq!(**expected, shown(&files), "{files:?}, by {source}");
    }
}

#[test]
fn files_are_read_as_flyteadmin_reads_them() {
    for (source, files, expected) in FILES {
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        assert_eq!(**expected, shown(&files), "{files:?}, by {source}");
    }
}

/// Checks the result in v1.16.7 and later, for which the tables only say "two meanings": an option that a key with dots
/// hides does not get its default.
#[test]
fn an_option_behind_a_key_with_dots_is_false_or_empty() {
    let text = "server.security: {allowCors: true, allowedOrigins: [a]}";
    let mut config = Config::merge(&[File { path: "a.yaml".to_owned(), text: text.as_bytes().into() }]).unwrap();
    assert_eq!("off []", effective(config.security().unwrap()), "{ZERO}");
}
