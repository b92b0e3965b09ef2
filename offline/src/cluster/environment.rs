//! Several environments in one input: which files go together, and which object of a name is meant from a file.
//!
//! Files that hold the same object with other contents are of different environments: those of one folder each for itself,
//! those of other folders with their whole folder. What is cluster-wide says nothing, since folders that go together may both
//! have a Namespace.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError},
};

use super::{Cluster, Held};
use crate::{kinds, report::Related};

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
    /// That in the file itself, else in its folder, else the only one: its place among them.
    One(usize),
    /// One of these, and nothing says which.
    Two([usize; 2]),
    /// All are of other environments.
    Elsewhere,
}

impl Held {
    fn differs(&self, other: &Self) -> bool {
        self.content.get() != other.content.get()
    }
}

impl Cluster {
    /// The environment of a file.
    pub(super) fn environment_of(&self, asking: usize) -> Arc<Environment> {
        let mut known = self.environment.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(environment) if environment.asking == asking => Arc::clone(environment),
            _ => {
                let folders = self.folders();
                let apart = self.apart_from(asking, &folders);
                let choices = self.objects.values().map(|several| choose(several, asking, &folders, &apart)).collect();
                let environment = Arc::new(Environment { asking, choices });
                *known = Some(Arc::clone(&environment));
                environment
            }
        }
    }

    /// Of each file the first that is in its folder.
    fn folders(&self) -> Vec<usize> {
        let mut first: HashMap<Option<&str>, usize> = HashMap::new();
        let folder = |name: &'_ String| name.rsplit_once('/').map(|(folder, _)| folder.len());
        let files = self.files.iter().enumerate();
        files.map(|(file, name)| *first.entry(folder(name).map(|length| &name[..length])).or_insert(file)).collect()
    }

    fn apart_from(&self, asking: usize, folders: &[usize]) -> BTreeSet<usize> {
        let (mut apart, mut folders_apart) = (BTreeSet::new(), BTreeSet::new());
        let is_near = |held: &&Held| folders[held.file] == folders[asking];
        for ([_, kind, ..], several) in &self.objects {
            if several.len() < 2 || kinds::is_cluster_wide(kind) {
                continue;
            }
            let near: Vec<&Held> = several.iter().filter(is_near).collect();
            if let Some(own) = near.iter().find(|held| held.file == asking) {
                let others = near.iter().filter(|held| held.file != asking && held.differs(own));
                apart.extend(others.map(|held| held.file));
            }
            if !near.is_empty() {
                let elsewhere = several.iter().filter(|held| !is_near(held));
                let others = elsewhere.filter(|held| near.iter().all(|near| held.differs(near)));
                folders_apart.extend(others.map(|held| folders[held.file]));
            }
        }
        apart.extend((0..folders.len()).filter(|file| folders_apart.contains(&folders[*file])));
        apart
    }

    /// The environments that the files are of: of each a file, and the files that are not of it. A file that is of several has
    /// none of its own.
    pub(crate) fn environments(&self) -> Vec<(usize, BTreeSet<usize>)> {
        let folders = self.folders();
        let mut first: HashMap<BTreeSet<usize>, usize> = HashMap::new();
        for file in 0..self.files.len() {
            first.entry(self.apart_from(file, &folders)).or_insert(file);
        }
        let is_part =
            |apart: &BTreeSet<usize>| first.keys().any(|more| more.len() > apart.len() && apart.is_subset(more));
        let whole = first.iter().filter(|(apart, _)| !is_part(apart));
        let mut environments: Vec<_> = whole.map(|(apart, file)| (*file, apart.clone())).collect();
        environments.sort_unstable_by_key(|(file, _)| *file);
        environments
    }

    /// What parts the first environment from each of the others: where an object stands in that one, and with other contents in
    /// the other.
    pub(crate) fn parted(&self) -> Vec<[Related; 2]> {
        let environments = self.environments();
        let Some(((_, of_first), others)) = environments.split_first() else { return Vec::new() };
        let parted = |(_, apart): &(usize, BTreeSet<usize>)| {
            self.objects.iter().find_map(|([_, kind, namespace, name], several)| {
                let one = several.iter().find(|held| !of_first.contains(&held.file) && apart.contains(&held.file))?;
                let is_of_other = |held: &&Held| !apart.contains(&held.file) && of_first.contains(&held.file);
                let other = several.iter().filter(is_of_other).find(|held| held.differs(one))?;
                Some([one, other].map(|held| self.related(format!("{kind} {namespace}/{name}"), held)))
            })
        };
        others.iter().filter_map(parted).collect()
    }
}

fn choose(several: &[Held], asking: usize, folders: &[usize], apart: &BTreeSet<usize>) -> Choice {
    let is_near: [&dyn Fn(&usize) -> bool; 3] =
        [&|held| several[*held].file == asking, &|held| folders[several[*held].file] == folders[asking], &|held| {
            !apart.contains(&several[*held].file)
        }];
    for is_near in is_near {
        let near = || (0..several.len()).filter(is_near).filter(|held| !apart.contains(&several[*held].file));
        if let Some(first) = near().next() {
            let other = near().find(|held| several[*held].differs(&several[first]));
            return other.map_or(Choice::One(first), |other| Choice::Two([first, other]));
        }
    }
    Choice::Elsewhere
}
