//! Finds the key in a chart's values that sets a value in the rendered manifest.
//!
//! In `charts.txt`, each template has indented lines below it, one for each place in the template. A line has these
//! fields: the path in the object, the path in a file of a ConfigMap, the first version of the chart with the line, the
//! first version without it, and the key. To a key without a mark, the rest of the path is added. `!` marks a key that
//! is used as it is, `~` marks the key for the whole pod, and `-` means that the chart has no key. Source: the
//! templates of [flyteorg/flyte](https://github.com/flyteorg/flyte/tree/master/charts), releases v1.0.0 to v1.16.8 and
//! v2.0.43, each rendered with a marker at the key.

use serde::{Deserialize, Serialize};

use crate::report::{Finding, Place};

const CHARTS: &str = include_str!("charts.txt");

/// The key with which a chart sets a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
pub struct ChartValue {
    /// The chart's name, e.g. `flyte-core`.
    pub chart: String,
    /// The key in the chart's values. Absent if the chart has no key for this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub key: Option<String>,
    /// The first version of the chart with this key. Present only if the rendered version is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", tsify(optional))]
    pub since: Option<String>,
}

/// Finds the key for the value that a finding tells people to change. `label` is the object's `helm.sh/chart` label,
/// e.g. `flyte-core-v1.16.8`. `is_set` is true if the object already has a value there.
pub(crate) fn value_of(place: &Place, label: Option<&str>, finding: &Finding, is_set: bool) -> Option<ChartValue> {
    let source = place.source.as_deref()?;
    let (chart, _) = source.split_once('/')?;
    // Charts that were never released have versions below 1.0.0, which do not identify a release.
    let version = label.and_then(|label| label.strip_prefix(chart)?.strip_prefix('-')).and_then(version);
    let version = version.filter(|version| *version >= [1, 0, 0]);
    let wanted = wanted(finding);
    let lines = CHARTS.lines().skip_while(|line| *line != source).skip(1).take_while(|line| line.starts_with(' '));
    let line = lines
        .filter_map(Line::parse)
        .filter(|line| line.holds_for(version) && line.covers(&wanted))
        .max_by_key(|line| (line.path.len(), line.within.len()))?;
    let rest = |key: &str| {
        let rest = if line.within.is_empty() { wanted.path.strip_prefix(line.path) } else { None };
        let rest = match (&wanted.within, rest) {
            (Some(within), _) => within.strip_prefix(line.within).unwrap_or_default().to_owned(),
            (None, rest) => rest.unwrap_or_default().to_owned(),
        };
        match rest.trim_start_matches('.') {
            "" => key.to_owned(),
            rest if rest.starts_with('[') => format!("{key}{rest}"),
            rest => format!("{key}.{rest}"),
        }
    };
    let key = match line.key {
        "-" => None,
        // A container's own value overrides the chart's value for the pod.
        pod if pod.starts_with('~') && is_set => return None,
        key => Some(match (key.strip_suffix('!'), key.strip_prefix('~')) {
            (Some(whole), _) => whole.to_owned(),
            (None, Some(pod)) => {
                format!("{pod}{}", wanted.path.rsplit_once("securityContext").map_or("", |(_, rest)| rest))
            }
            (None, None) => rest(key),
        }),
    };
    let since = Some(line.since).filter(|since| version.is_none() && !since.is_empty() && key.is_some());
    Some(ChartValue { chart: chart.to_owned(), key, since: since.map(str::to_owned) })
}

/// The place of the value to change.
struct Wanted {
    path: String,
    within: Option<String>,
}

/// Returns the place that a finding tells people to change: the place of its first edit, or else its own.
fn wanted(finding: &Finding) -> Wanted {
    let (mut path, mut within) = (finding.path.clone(), finding.within.as_ref().map(|within| within.path.clone()));
    if let Some(edit) = finding.edits.first() {
        (path, within) = (edit.path.clone(), edit.within.clone());
    } else if finding.policy.starts_with("flyte-non-root") && !path.contains("securityContext") {
        path += ".securityContext.runAsUser";
    }
    // Identify containers by name. Other paths lose their list indices below.
    for list in ["initContainers", "containers"] {
        if let Some((before, rest)) = path.split_once(&format!(".{list}["))
            && let Some((_, after)) = rest.split_once(']')
        {
            path = format!("{before}.{list}[\"{}\"]{after}", finding.container);
            break;
        }
    }
    if !path.starts_with("data") && !path.to_ascii_lowercase().contains("containers[") {
        path = without_indices(&path);
    }
    Wanted { path, within: within.map(|within| without_indices(&within)) }
}

/// Removes list indices from a path: `spec.tls[0].hosts[1]` becomes `spec.tls.hosts`.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| match part.split_once(']') {
        Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => path + rest,
        _ => path + "[" + part,
    })
}

struct Line<'l> {
    path: &'l str,
    within: &'l str,
    since: &'l str,
    before: &'l str,
    key: &'l str,
}

impl<'l> Line<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let mut fields = line.trim_start().split(';');
        let mut field = || fields.next();
        Some(Self { path: field()?, within: field()?, since: field()?, before: field()?, key: field()? })
    }

    /// Whether the line applies to a version. Without a version, whether it applies to the latest one.
    fn holds_for(&self, own: Option<[u32; 3]>) -> bool {
        let Some(own) = own else { return self.before.is_empty() };
        version(self.since).is_none_or(|since| own >= since) && version(self.before).is_none_or(|before| own < before)
    }

    fn covers(&self, Wanted { path, within }: &Wanted) -> bool {
        let is_below = |path: &str, above: &str| {
            path.strip_prefix(above)
                .is_some_and(|rest| rest.is_empty() || above.is_empty() || rest.starts_with(['.', '[']))
        };
        match within {
            Some(within) => self.path == *path && is_below(within, self.within),
            None => self.within.is_empty() && is_below(path, self.path),
        }
    }
}

/// Parses the numbers of a version such as `v1.16.8`, and ignores suffixes.
fn version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.strip_prefix('v').unwrap_or(text).split('.').map(|part| {
        let end = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    });
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::{CHARTS, ChartValue, Line, value_of, version};
    use crate::report::{Finding, Place, Within};

    fn place(source: &str) -> Place {
        let text = String::new;
        Place {
            file: text(),
            document: 1,
            line: 1,
            source: Some(source.to_owned()),
            api_version: text(),
            kind: text(),
            namespace: None,
            name: text(),
        }
    }

    fn finding(policy: &str, path: &str, container: &str, within: Option<&str>) -> Finding {
        Finding {
            policy: policy.to_owned(),
            rule: String::new(),
            severity: None,
            path: path.to_owned(),
            line: 1,
            container: container.to_owned(),
            within: within.map(|path| Within { path: path.to_owned(), line: 1 }),
            problem: String::new(),
            mend: String::new(),
            edits: Vec::new(),
            related: Vec::new(),
            chart_value: None,
        }
    }

    #[test]
    fn a_rendered_value_maps_to_the_key_of_its_chart_version() {
        let user = |container: &str, list: &str| {
            finding("flyte-non-root", &format!("spec.template.spec.{list}[1]"), container, None)
        };
        let server = |path: &str| finding("flyte-admin-cors", "data[\"server.yaml\"]", "", Some(path));
        for (source, label, finding, key) in [
            (
                "flyte-core/templates/admin/deployment.yaml",
                "flyte-core-v1.16.8",
                user("flyteadmin", "containers"),
                Some("flyteadmin.securityContext.runAsUser"),
            ),
            (
                "flyte-core/templates/admin/deployment.yaml",
                "flyte-core-v1.10.0",
                user("flyteadmin", "containers"),
                None,
            ),
            (
                "flyte-core/templates/admin/deployment.yaml",
                "flyte-core-v0.1.10",
                user("run-migrations", "initContainers"),
                Some("flyteadmin.securityContext.runAsUser"),
            ),
            (
                "flyte-core/templates/admin/configmap.yaml",
                "flyte-core-v1.16.8",
                server("server.security.allowedOrigins[0]"),
                Some("configmap.adminServer.server.security.allowedOrigins"),
            ),
            (
                "flyte-core/templates/console/configmap.yaml",
                "flyte-core-v1.16.8",
                finding("flyte-console-url", "data.ADMIN_API_URL", "", None),
                Some("configmap.console.ADMIN_API_URL"),
            ),
            (
                "flyte-core/templates/common/ingress.yaml",
                "flyte-core-v1.16.8",
                finding("flyte-oauth-tls", "spec.tls[0].secretName", "", None),
                Some("common.ingress.tls.secretName"),
            ),
        ] {
            let value = value_of(&place(source), Some(label), &finding, false).map(|value| value.key);
            assert_eq!(Some(key.map(str::to_owned)), value, "{source} {label} {}", finding.path);
        }
        let other = value_of(&place("other/templates/a.yaml"), None, &server("server"), false);
        assert_eq!(None, other);
    }

    #[test]
    fn the_pod_key_is_not_proposed_if_the_container_sets_the_value() {
        let finding = finding("flyte-non-root", "spec.template.spec.containers[0]", "flyteconsole", None);
        assert_eq!(None, value_of(&place("flyte-core/templates/console/deployment.yaml"), None, &finding, true));
    }

    #[test]
    fn a_key_has_its_first_version_if_the_chart_version_is_unknown() {
        let finding = finding("flyte-non-root", "spec.template.spec.containers[0]", "flyteconsole", None);
        let value = value_of(&place("flyte-core/templates/console/deployment.yaml"), None, &finding, false).unwrap();
        let key = "flyteconsole.securityContext.runAsUser".to_owned();
        assert_eq!(
            ChartValue { chart: "flyte-core".to_owned(), key: Some(key), since: Some("v1.11.0".to_owned()) },
            value
        );
    }

    #[test]
    fn every_line_of_the_list_parses() {
        for line in CHARTS.lines().filter(|line| line.starts_with(' ')) {
            let read = Line::parse(line).unwrap();
            for bound in [read.since, read.before].into_iter().filter(|bound| !bound.is_empty()) {
                assert!(version(bound).is_some(), "{line}");
            }
            assert!(!read.key.is_empty(), "{line}");
        }
    }
}
