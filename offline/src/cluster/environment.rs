//! Several environments in one input: which files go together, and which object of a name is meant from a file.
//!
//! The same workload, ConfigMap or route with other contents in two files parts these where their paths do: everything below
//! `prod/` from everything below `staging/`, and `prod.yaml` from `staging.yaml`. Both sides must run something: a placeholder
//! beside the real thing parts nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError},
};

use super::{Cluster, Held};
use crate::report::Related;

/// What is there for the objects of a file.
#[derive(Debug)]
pub(super) struct Environment {
    asking: usize,
    /// Of the objects of each name in a cluster, in its order, the one that is meant.
    pub(super) choices: Vec<Choice>,
}

/// Which of several objects of a name is meant.
#[derive(Debug)]
pub(super) enum Choice {
    /// The nearest: its place among them.
    One(usize),
    /// One of these, and nothing says which.
    Two([usize; 2]),
    /// All are of other environments.
    Elsewhere,
}

/// Where files are.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Of each file its path, a number for each name in it.
    each: Vec<Vec<usize>>,
    /// The files and folders that run something.
    running: HashSet<Vec<usize>>,
}

const WORKLOADS: [&str; 8] =
    ["CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet"];

/// Whether other contents of an object make another environment, rather than a placeholder or another release of something shared.
fn parts(kind: &str) -> bool {
    WORKLOADS.contains(&kind) || ["ConfigMap", "HTTPProxy", "HTTPRoute", "Ingress", "IngressRoute"].contains(&kind)
}

impl Held {
    fn differs(&self, other: &Self) -> bool {
        self.content.get() != other.content.get()
    }
}

impl Paths {
    pub(super) fn of<'c>(files: &[String], objects: impl Iterator<Item = (&'c [String; 4], &'c Vec<Held>)>) -> Self {
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

    /// How much of their paths two files have in common.
    fn common(&self, one: usize, other: usize) -> usize {
        self.each[one].iter().zip(&self.each[other]).take_while(|(one, other)| one == other).count()
    }

    /// What of a file's path is its own behind what it has in common with another.
    fn root(&self, file: usize, common: usize) -> &[usize] {
        let path = &self.each[file];
        &path[..path.len().min(common + 1)]
    }
}

impl Cluster {
    /// The environment of a file.
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

    /// The files of other environments than that of a file.
    fn apart_from(&self, asking: usize) -> BTreeSet<usize> {
        let mut roots: BTreeSet<&[usize]> = BTreeSet::new();
        for ([_, kind, ..], several) in &self.objects {
            if several.len() < 2 || !parts(kind) {
                continue;
            }
            // By how near they are to the file.
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

    /// The environments that the files are of: of each a file, and the files that are not of it. A file that is of several has
    /// none of its own.
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

    /// What parts the first environment from each of the others: where an object stands in that one, and with other contents in
    /// the other.
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
