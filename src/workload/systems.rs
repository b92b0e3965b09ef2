//! The operating systems that a pod may run on, from every field that shows them.
//!
//! If `os.name` is set, it decides alone, since the kubelet rejects the pod elsewhere. Otherwise the node labels that the pod asks
//! for decide: those of `nodeSelector`, and of each term of the required node affinity, of which one is enough. `nodeName` names a
//! node, not its system.
//!
//! Source: `OS` of `PodSpec` in `staging/src/k8s.io/api/core/v1/types.go` of
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes), and `well_known_labels.go` in the same folder.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{edit, text::Text, view::view};

view! {
    /// The operating system that a pod declares.
    pub struct Os<'a> {
        "name" => name: Text<'a>,
    }

    /// The nodes that a pod asks for.
    pub struct NodeSelector<'a> {
        "kubernetes.io/os" => os: Text<'a>,
        "beta.kubernetes.io/os" => os_before_1_14: Text<'a>,
        "node.kubernetes.io/windows-build" => windows_build: Text<'a>,
    }
}

/// The operating systems of the nodes that a pod's affinity asks for. Computed once, since it matters to each container.
#[derive(Debug, Clone, Copy)]
pub struct Affinity(Option<Systems>);

impl<'de> Deserialize<'de> for Affinity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|affinity| Self(Systems::of_affinity(affinity)))
    }
}

const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";

/// The operating systems that a pod may run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Systems {
    pub(crate) linux: bool,
    pub(crate) windows: bool,
}

impl Systems {
    const EITHER: Self = Self { linux: true, windows: true };
    const LINUX: Self = Self { linux: true, windows: false };
    const WINDOWS: Self = Self { linux: false, windows: true };

    /// The systems of a pod; `None` if it names none.
    pub(super) fn from_constraints(
        os: Option<&Os>,
        selector: Option<&NodeSelector>,
        affinity: Option<Affinity>,
    ) -> Option<Self> {
        match os.and_then(|os| os.name.as_deref()) {
            Some(name) => Some(Self::named(name)),
            None => both(selector.and_then(Self::of_selector), affinity.and_then(|Affinity(systems)| systems)),
        }
    }

    fn named(os: &str) -> Self {
        if os == "windows" { Self::WINDOWS } else { Self::LINUX }
    }

    fn of_selector(NodeSelector { os, os_before_1_14, windows_build, .. }: &NodeSelector) -> Option<Self> {
        let named = |os: &Option<Text>| os.as_deref().map(Self::named);
        both(both(named(os), named(os_before_1_14)), windows_build.as_ref().map(|_| Self::WINDOWS))
    }

    fn of_affinity(affinity: &RawValue) -> Option<Self> {
        const TERMS: [&str; 3] =
            ["nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
        let terms = edit::at(affinity.get(), &TERMS).and_then(edit::items)?;
        let terms: Vec<Option<Self>> = terms.into_iter().map(Self::of_term).collect();
        let any = |is: fn(Self) -> bool| terms.iter().any(|systems| is(systems.unwrap_or(Self::EITHER)));
        let is_named = terms.iter().any(Option::is_some);
        is_named.then(|| Self { linux: any(|systems| systems.linux), windows: any(|systems| systems.windows) })
    }

    fn of_term(term: &RawValue) -> Option<Self> {
        let expressions = edit::at(term.get(), &["matchExpressions"]).and_then(edit::items);
        expressions.into_iter().flatten().map(Self::of_expression).fold(None, both)
    }

    fn of_expression(expression: &RawValue) -> Option<Self> {
        let field = |name| edit::at(expression.get(), &[name]).unwrap_or_default();
        let (key, operator, values) = (field("key").trim_matches('"'), field("operator"), edit::items(field("values")));
        let has = |os: &str| values.iter().flatten().any(|value| value.get().trim_matches('"') == os);
        let other = || values.iter().flatten().any(|value| value.get() != "\"windows\"");
        match operator.trim_matches('"') {
            "In" if OS_LABELS.contains(&key) => Some(Self { linux: other(), windows: has("windows") }),
            "NotIn" if OS_LABELS.contains(&key) => Some(Self { linux: !has("linux"), windows: !has("windows") }),
            "In" | "Exists" | "Gt" | "Lt" if key == WINDOWS_BUILD => Some(Self::WINDOWS),
            "DoesNotExist" if key == WINDOWS_BUILD => Some(Self::LINUX),
            _ => None,
        }
    }
}

/// The systems that both allow. If they share none, the pod runs nowhere, and either system is possible.
fn both(one: Option<Systems>, other: Option<Systems>) -> Option<Systems> {
    let (Some(a), Some(b)) = (one, other) else {
        return one.or(other);
    };
    let both = Systems { linux: a.linux && b.linux, windows: a.windows && b.windows };
    Some(if both.linux || both.windows { both } else { Systems::EITHER })
}

#[cfg(test)]
mod tests {
    use super::{Affinity, NodeSelector, Os, Systems};

    /// The systems of a pod spec in JSON.
    fn systems(os: &str, selector: &str, affinity: &str) -> Option<Systems> {
        fn parse<'a, T: serde::Deserialize<'a>>(json: &'a str) -> T {
            serde_json::from_str(json).expect("a test's JSON is good")
        }
        let (os, selector): (Option<Os>, Option<NodeSelector>) = (parse(os), parse(selector));
        let terms = format!(
            r#"{{"nodeAffinity":{{"requiredDuringSchedulingIgnoredDuringExecution":{{"nodeSelectorTerms":{affinity}}}}}}}"#
        );
        Systems::from_constraints(os.as_ref(), selector.as_ref(), Some(parse::<Affinity>(&terms)))
    }

    #[test]
    fn a_pod_runs_on_the_systems_that_it_names() {
        const WINDOWS: Option<Systems> = Some(Systems::WINDOWS);
        const LINUX: Option<Systems> = Some(Systems::LINUX);
        const EITHER: Option<Systems> = Some(Systems::EITHER);
        for (os, selector, affinity, expected) in [
            ("null", "null", "null", None),
            (r#"{"name": "windows"}"#, "null", "null", WINDOWS),
            (r#"{"name": "windows"}"#, r#"{"kubernetes.io/os": "linux"}"#, "null", WINDOWS),
            ("null", r#"{"kubernetes.io/os": "windows"}"#, "null", WINDOWS),
            ("null", r#"{"beta.kubernetes.io/os": "windows"}"#, "null", WINDOWS),
            ("null", r#"{"beta.kubernetes.io/os": "linux"}"#, "null", LINUX),
            ("null", r#"{"node.kubernetes.io/windows-build": "10.0.17763"}"#, "null", WINDOWS),
            ("null", r#"{"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "windows"}"#, "null", EITHER),
            ("null", r#"{"disk": "fast"}"#, "null", None),
            ("null", "null", r#"[{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]"#, None),
            (
                "null",
                "null",
                r#"[{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}]}]"#,
                WINDOWS,
            ),
            (
                "null",
                "null",
                r#"[{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "NotIn", "values": ["linux"]}]}]"#,
                WINDOWS,
            ),
            (
                "null",
                "null",
                r#"[{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "NotIn", "values": ["windows"]}]}]"#,
                LINUX,
            ),
            (
                "null",
                "null",
                r#"[{"matchExpressions": [{"key": "node.kubernetes.io/windows-build", "operator": "Exists"}]}]"#,
                WINDOWS,
            ),
            // One of the terms is enough, and the second names no system.
            (
                "null",
                "null",
                r#"[{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}]}, {}]"#,
                EITHER,
            ),
            // Both must hold.
            (
                "null",
                r#"{"kubernetes.io/os": "linux"}"#,
                r#"[{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux", "windows"]}]}]"#,
                LINUX,
            ),
        ] {
            assert_eq!(expected, systems(os, selector, affinity), "{os} {selector} {affinity}");
        }
    }
}
