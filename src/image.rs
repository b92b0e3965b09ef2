//! Image references, as Docker and the kubelet read them.
//!
//! `postgres`, `postgres:15-alpine` and `docker.io/library/postgres@sha256:...` come from one repository;
//! `evil.example/postgres` comes from another. Source: `normalize.go` and `regexp.go` of
//! [distribution/reference](https://github.com/distribution/reference). Crates that parse references use regular
//! expressions, which alone are larger than a module may be; a test compares this parser with such a crate.

use std::fmt;

use crate::verdict::Shortened;

/// An image repository: a registry's host and a path in it, with Docker's defaults filled in. Compared by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repository<'a> {
    host: &'a str,
    /// Docker Hub's images without an owner belong to `library`.
    library: bool,
    path: &'a str,
}

const DOCKER_HUB: &str = "docker.io";

/// The maximum length of a path, in bytes.
const LONGEST_PATH: usize = 255;

impl<'a> Repository<'a> {
    /// The repository of an image reference, without its tag and digest. `None` if the reference is invalid, so that no
    /// registry serves it.
    pub fn parse(image: &'a str) -> Option<Self> {
        let (name, digest) = split(image, image.find('@'));
        // A colon before the last slash belongs to the registry's port.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = split(name, name[last..].find(':').map(|colon| last + colon));
        let valid = digest.is_none_or(is_digest) && tag.is_none_or(is_tag);
        valid.then(|| Self::named(name)).flatten()
    }

    /// The last part of its path: `postgres` in `docker.io/library/postgres`.
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The part of its path before the name: `flyteorg` in `cr.flyte.org/flyteorg/flyteadmin`.
    #[cfg(feature = "pod-users")]
    pub fn owner(&self) -> Option<&'a str> {
        self.path.rsplit_once('/').map(|(owner, _)| owner)
    }

    /// A repository written without tag and digest. `None` if the name is invalid.
    pub fn named(name: &'a str) -> Option<Self> {
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host_rather_than_owner(host) => (host, path),
            _ => (DOCKER_HUB, name),
        };
        let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
        let hub = host == DOCKER_HUB;
        let official = if hub { path.strip_prefix("library/").unwrap_or(path) } else { path };
        let library = hub && !official.contains('/');
        let path = if library { official } else { path };
        let length = path.len() + if library { "library/".len() } else { 0 };
        let valid = is_host(host) && path.split('/').all(is_path_component) && length <= LONGEST_PATH;
        valid.then_some(Self { host, library, path })
    }
}

impl fmt::Display for Repository<'_> {
    /// Writes the form that the setting `exceptions` takes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            DOCKER_HUB => Shortened(self.path).fmt(formatter),
            host => write!(formatter, "{}/{}", Shortened(host), Shortened(self.path)),
        }
    }
}

fn split(text: &str, at: Option<usize>) -> (&str, Option<&str>) {
    match at {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Docker's rule for `a/b`: is `a` a registry, or an owner on Docker Hub?
fn is_host_rather_than_owner(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether a text is a host, such as `registry.example:5000` or `[2001:db8::1]:5000`.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rfind(']') {
        Some(end) => (&host[..=end], &host[end + 1..]),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    };
    is_name && is_port
}

/// Whether a text is lower-case letters and digits, in runs joined by `.`, `_`, `__` or dashes.
fn is_path_component(component: &str) -> bool {
    let is_run = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let joints_are_good = component
        .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-'));
    joints_are_good && component.bytes().next().is_some_and(is_run) && component.bytes().last().is_some_and(is_run)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

/// Whether a text is an algorithm that registries know, with the right number of lower-case hexadecimal digits.
fn is_digest(digest: &str) -> bool {
    let length = |algorithm| match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => 0,
    };
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !hex.is_empty()
            && hex.len() == length(algorithm)
            && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use oci_spec::distribution::Reference;
    use proptest::prelude::*;

    use super::Repository;

    #[test]
    fn every_spelling_of_one_repository_is_equal() {
        let digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for (repository, image) in [
            ("postgres", "postgres".to_owned()),
            ("postgres", "postgres:10.16-alpine".to_owned()),
            ("postgres", format!("postgres{digest}")),
            ("postgres", format!("postgres:15{digest}")),
            ("postgres", "library/postgres".to_owned()),
            ("postgres", "docker.io/postgres".to_owned()),
            ("docker.io/library/postgres", "index.docker.io/library/postgres:15".to_owned()),
            ("localhost/postgres", "localhost/postgres:15".to_owned()),
            ("registry.example:5000/postgres", "registry.example:5000/postgres:15".to_owned()),
            ("[2001:db8::1]:5000/postgres", "[2001:db8::1]:5000/postgres:15".to_owned()),
            ("ecr.flyte.org/ubuntu/postgres", "ecr.flyte.org/ubuntu/postgres:13-21.04_beta".to_owned()),
        ] {
            let repository = Repository::named(repository).expect(repository);
            assert_eq!(Some(repository), Repository::parse(&image), "{image}");
        }
    }

    #[test]
    fn images_of_other_repositories_are_different() {
        let postgres = Repository::named("postgres");
        for image in [
            "evil.example/postgres",
            "evil.example/library/postgres",
            "evil/postgres",
            "localhost/postgres",
            "postgres/postgres",
            "postgres:5000/postgres",
            "docker.io/library/library/postgres",
            "docker.io/library/postgres/postgres",
            "POSTGRES",
            "docker.io/library/postgres/",
            "postgres@evil.example/postgres",
            "postgres@sha256:short",
            "postgres:15:16",
            "postgres:",
            "postgres ",
            "",
        ] {
            assert_ne!(postgres, Repository::parse(image), "{image}");
        }
    }

    #[test]
    fn an_owner_under_library_is_part_of_the_path() {
        assert_ne!(Repository::named("docker.io/library/owner/image"), Repository::named("owner/image"));
    }

    #[test]
    fn a_repository_name_has_no_tag_or_digest() {
        assert_eq!(None, Repository::named("postgres:15"));
        assert_eq!(None, Repository::named("postgres@sha256:0123456789abcdef0123456789abcdef"));
    }

    /// References made of the parts that decide how they are read, in any order.
    fn references() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "docker.io",
            "index.docker.io",
            "library",
            "localhost",
            "postgres",
            "evil.example",
            "a__b",
            "a_-b",
            "x-",
            ".",
            "/",
            "/",
            ":",
            ":",
            "@",
            "5000",
            "15-alpine",
            "sha256",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ]);
        prop::collection::vec(part, 1..7).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_repository_is_read_as_oci_spec_reads_it(image in references()) {
            // Not the other way round: oci-spec also accepts impossible hosts, such as "a_b.example",
            // and rejects IPv6 addresses.
            if let Some(actual) = Repository::parse(&image) {
                let expected: Reference = image.parse().expect("oci-spec reads what we read");
                let library = if actual.library { "library/" } else { "" };
                prop_assert_eq!(expected.registry(), actual.host);
                prop_assert_eq!(expected.repository(), format!("{library}{}", actual.path));
            }
        }
    }
}
