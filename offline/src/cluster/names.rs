//! Finds the objects that a finding names, e.g. `Ingress flyte/flyte-core` or `ClusterIssuer letsencrypt`.

use std::collections::BTreeMap;

use super::{Choice, Cluster, Held};
use crate::report::Related;

/// The objects of a cluster, by the names that people use.
pub(crate) struct Names<'c> {
    cluster: &'c Cluster,
    /// By kind, namespace and name, with the index in the cluster. `None` if two groups have a kind of that name,
    /// because the name does not show which is meant.
    objects: BTreeMap<[&'c str; 3], Option<(usize, &'c [Held])>>,
}

impl<'c> Names<'c> {
    pub(crate) fn collect(cluster: &'c Cluster) -> Self {
        let mut objects = BTreeMap::new();
        for (place, ([_, kind, namespace, name], held)) in cluster.objects.iter().enumerate() {
            let named = objects.entry([&**kind, &**namespace, &**name]);
            named.and_modify(|other| *other = None).or_insert(Some((place, &**held)));
        }
        Self { cluster, objects }
    }

    /// Returns the objects that a text names, each once, as seen from a file.
    pub(crate) fn in_text(&self, text: &str, file: usize) -> Vec<Related> {
        let mut related: Vec<Related> = Vec::new();
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            let kind = pair[0].trim_start_matches('(');
            let object = pair[1].trim_end_matches(|end: char| !end.is_ascii_alphanumeric());
            let (namespace, name) = object.split_once('/').unwrap_or(("", object));
            let Some(Some((place, several))) = self.objects.get(&[kind, namespace, name]) else { continue };
            let Choice::One(held) = self.cluster.environment_of(file).choices[*place] else { continue };
            let found = self.cluster.related(format!("{kind} {object}"), &several[held]);
            if !related.contains(&found) {
                related.push(found);
            }
        }
        related
    }
}
