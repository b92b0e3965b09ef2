//! Separates the environments of one input, and finds which of several objects of one name a file refers to.
//!
//! If two files have the same workload, ConfigMap or route with different content, they belong to different
//! environments. The environments split where the paths of the two files split: everything below `prod/` from
//! everything below `staging/`, or `prod.yaml` from `staging.yaml`. Both sides must run something, so a placeholder
//! beside the real files does not split them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use super::{Cluster, Held};
use crate::report::Related;

/// The environment of a file.
#[derive(Debug)]
pub(super) struct Environment {
    asking: usize,
    /// For each object name in the cluster, in the cluster's order, the object that the file refers to.
    pub(super) choices: Vec<Choice>,
}

/// The object that a file refers to, of several with the same name.
#[derive(Debug)]
pub(super) enum Choice {
    /// The nearest object: its index among them.
    One(usize),
    /// One of these two. The files do not show which.
    Two([usize; 2]),
    /// None: all of them belong to other environments.
    Elsewhere,
}

/// The paths of the files.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The path of each file. A number stands for each name in it.
    each: Vec<Vec<usize>>,
    /// The files and folders that contain a workload.
    running: HashSet<Vec<usize>>,
}

const WORKLOADS: [&str; 8] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet"];

/// Whether two objects of this kind with different content show two environments. For other kinds, the second object
/// may be a placeholder or another release of a shared object.
fn parts(kind: &str) -> bool {
    WORKLOADS.contains(&kind) || ["ConfigMap", "HTTPProxy", "HTTPRoute", "Ingress", "IngressRoute"].contains(&kind)
}

impl Held {
    fn differs(&self, other: &Self) -> bool {
        self.content.get() != other.content.get()
    }
}

impl Paths {
    pub(super) fn from_files<'c>(
        files: &[String],
        objects: impl Iterator<Item = (&'c [String; 4], &'c Vec<Held>)>,
    ) -> Self {
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut path = |name: &String| {
            let parts = name.split('/').filter(|part| *part != ".").map(str::to_owned);
            let mut number = |part| {
                let next = known.len();
                *known.entry(part).or_insert(next)
            };
            parts.map(&mut number).collect::<Vec<usize>>()
        };
        let each: Vec<Vec<usize>> = files.iter().map(&mut path).collect();
        let mut running = HashSet::new();
        for (_, several) in objects.filter(|([_, kind, ..], _)| WORKLOADS.contains(&&**kind)) {
            for held in several {
                let path = &each[held.file];
                running.extend((1..=path.len()).map(|length| path[..length].to_vec()));
            }
        }
        Self { each, running }
    }

    /// Counts the names that two paths share at their start.
    fn common(&self, one: usize, other: usize) -> usize {
        self.each[one].iter().zip(&self.each[other]).take_while(|(one, other)| one == other).count()
    }

    /// Returns the start of a file's path: the `common` names that it shares with another file, and one more.
    fn root(&self, file: usize, common: usize) -> &[usize] {
        let path = &self.each[file];
        &path[..path.len().min(common + 1)]
    }
}

impl Cluster {
    /// Returns the environment of a file.
    pub(super) fn environment_of(&self, asking: usize) -> Arc<Environment> {
        let mut known = self.environment.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(environment) if environment.asking == asking => Arc::clone(environment),
            _ => {
                let apart = self.apart_from(asking);
                let choices = self.objects.values().map(|several| self.choose(several, asking, &apart)).collect();
                let environment = Arc::new(Environment { asking, choices });
                *known = Some(Arc::clone(&environment));
                environment
            }
        }
    }

    /// Returns the files that belong only to environments other than that of a file.
    fn apart_from(&self, asking: usize) -> BTreeSet<usize> {
        let mut roots: BTreeSet<&[usize]> = BTreeSet::new();
        for ([_, kind, ..], several) in &self.objects {
            if several.len() < 2 || !parts(kind) {
                continue;
            }
            // The contents of the object, by how many names their file's path shares with the path of `asking`.
            let mut near: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
            for held in several {
                near.entry(self.paths.common(asking, held.file)).or_default().insert(held.content.get());
            }
            for held in several.iter().filter(|held| held.file != asking) {
                let common = self.paths.common(asking, held.file);
                let mut nearer = near.range(common + 1..).map(|(_, contents)| contents).peekable();
                let is_other = nearer.peek().is_some() && nearer.all(|contents| !contents.contains(held.content.get()));
                let sides = [asking, held.file].map(|file| self.paths.root(file, common));
                if is_other && sides.iter().all(|side| self.paths.running.contains(*side)) {
                    roots.insert(sides[1]);
                }
            }
        }
        let is_apart = |file: &usize| {
            let path = &self.paths.each[*file];
            *file != asking && (1..=path.len()).any(|length| roots.contains(&path[..length]))
        };
        (0..self.files.len()).filter(is_apart).collect()
    }

    /// Returns the environments of the input: for each, one of its files, and the files outside it. A file that several
    /// environments share does not make one of its own.
    pub(crate) fn environments(&self) -> &[(usize, BTreeSet<usize>)] {
        self.environments.get_or_init(|| {
            let mut first: HashMap<BTreeSet<usize>, usize> = HashMap::new();
            for file in 0..self.files.len() {
                first.entry(self.apart_from(file)).or_insert(file);
            }
            let is_part =
                |apart: &BTreeSet<usize>| first.keys().any(|more| more.len() > apart.len() && apart.is_subset(more));
            let whole = first.iter().filter(|(apart, _)| !is_part(apart));
            let mut environments: Vec<_> = whole.map(|(apart, file)| (*file, apart.clone())).collect();
            environments.sort_unstable_by_key(|(file, _)| *file);
            environments
        })
    }

    /// Shows why the other environments differ from the first. For each of them, returns an object in the first
    /// environment, and the object with the same name and different content in the other.
    pub(crate) fn parted(&self) -> Vec<[Related; 2]> {
        let Some(((_, of_first), others)) = self.environments().split_first() else { return Vec::new() };
        let parted = |(_, apart): &(usize, BTreeSet<usize>)| {
            self.objects.iter().filter(|([_, kind, ..], _)| parts(kind)).find_map(
                |([_, kind, namespace, name], several)| {
                    let one =
                        several.iter().find(|held| !of_first.contains(&held.file) && apart.contains(&held.file))?;
                    let is_of_other = |held: &&Held| !apart.contains(&held.file) && of_first.contains(&held.file);
                    let other = several.iter().filter(is_of_other).find(|held| held.differs(one))?;
                    Some([one, other].map(|held| self.related(format!("{kind} {namespace}/{name}"), held)))
                },
            )
        };
        others.iter().filter_map(parted).collect()
    }

    fn choose(&self, several: &[Held], asking: usize, apart: &BTreeSet<usize>) -> Choice {
        let distance = |held: &Held| match held.file == asking {
            true => usize::MAX,
            false => self.paths.common(asking, held.file),
        };
        let seen = || several.iter().enumerate().filter(|(_, held)| !apart.contains(&held.file));
        let Some(nearest) = seen().map(|(_, held)| distance(held)).max() else { return Choice::Elsewhere };
        let near = || seen().filter(|(_, held)| distance(held) == nearest);
        let Some((first, one)) = near().next() else { return Choice::Elsewhere };
        near().find(|(_, held)| held.differs(one)).map_or(Choice::One(first), |(other, _)| Choice::Two([first, other]))
    }
}
