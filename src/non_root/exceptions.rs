//! Containers that may be root.
//!
//! An exception only allows one container to be root, or not to be proven non-root. The container is an init
//! container, or a regular one if the settings use `container`. It covers no container of that name in another list, no
//! sidecar, and none with more than an ordinary [`sandbox`].
//!
//! Read: the container's `name`, `image`, `restartPolicy`; the object's name and labels; the namespace; what [`sandbox`] reads.
//! Source: "Security Overview", "Why override".

use super::sandbox::Sandboxes;
use crate::{
    flyte,
    image::Repository,
    settings::InvalidSettings,
    text::Text,
    verdict::{self, Shortened},
    view::view,
    workload::{Placed, Role, Workload},
};

view! {
    /// A container that may be root. One of the first two fields names it.
    pub(super) struct Exception<'a>: strict {
        /// The exact name of an init container.
        "initContainer" => init_container: Text<'a>,
        /// The exact name of a regular container.
        "container" => container: Text<'a>,
        /// The repositories its image may come from.
        "images" => images: Vec<Text<'a>>,
        /// The workloads it may be in; any if absent.
        "workloads" => workloads: Vec<Text<'a>>,
        /// The namespaces it may be in; any if absent.
        "namespaces" => namespaces: Vec<Text<'a>>,
    }
}

const INIT_CONTAINER: &str = "initContainer";
const CONTAINER: &str = "container";

/// The reason why an exception does not apply to a container that it is meant for, and the fix.
pub(super) struct Barred {
    pub(super) reason: String,
    /// The fix, with the punctuation to follow another fix; empty if there is none.
    pub(super) remedy: String,
    /// The same as `faults` of a [`Violation`](crate::verdict::Violation).
    pub(super) faults: Vec<u64>,
}

impl Exception<'_> {
    /// The only exception in the "Security Overview".
    pub(super) fn documented() -> Exception<'static> {
        let texts = |texts: &[&'static str]| texts.iter().copied().map(Text::constant).collect();
        Exception {
            init_container: Some(Text::constant(flyte::CHECK_DB_READY)),
            images: Some(texts(&flyte::CHECK_DB_READY_IMAGES)),
            workloads: Some(texts(&[flyte::FLYTEADMIN, flyte::DATACATALOG])),
            ..Exception::default()
        }
    }

    /// Whether the exception applies to the container, or why not; `None` if it is for another name.
    pub(super) fn applies(
        &self,
        placed: &Placed,
        sandboxes: &Sandboxes,
        namespace: &str,
    ) -> Option<Result<(), Barred>> {
        let (container, workload) = (placed.container, sandboxes.workload);
        let (role, name) = self.named()?;
        if name != container.name() {
            return None;
        }
        let barred = |reason: String, remedy: &str| {
            let faults = vec![verdict::hash(&reason)];
            Some(Err(Barred { reason, remedy: remedy.to_owned(), faults }))
        };
        if placed.role != role {
            let kinds = if role == Role::Regular { "regular containers" } else { "init containers" };
            return barred(format!("it covers only {kinds}"), "");
        }
        if container.restarts_always() {
            return barred("exceptions do not cover sidecars".to_owned(), "");
        }
        let Some(image) = Repository::parse(container.image()) else {
            return barred(format!("the image is not from {}", either(&self.images)), ", and correct its image");
        };
        if !includes(&self.workloads, |name| workload.is_named(name)) {
            // A copy lacks its pod's labels, and a name that a controller generated will change.
            let is_made = workload.is_controlled();
            let copy = match self.init_container.is_some() && !workload.makes_pods() && !is_made {
                true => ". If kubectl debug --copy-to made this pod, use --keep-init-containers=false",
                false => "",
            };
            let name = workload.metadata.name.as_deref().filter(|_| !is_made).or(workload.label());
            let remedy = match name {
                Some(name) => format!("{}{copy}", self.entry(container.name(), &image, "workloads", name)),
                None => {
                    format!(
                        ". If you trust this container, label its pods app.kubernetes.io/name: {}",
                        either(&self.workloads)
                    )
                }
            };
            return barred(format!("the workload is not {}", either(&self.workloads)), &remedy);
        }
        if !includes(&self.namespaces, |name| name == namespace) {
            let remedy = self.entry(container.name(), &image, "namespaces", namespace);
            return barred(format!("the namespace is not {}", either(&self.namespaces)), &remedy);
        }
        if !self.images.iter().flatten().any(|name| Repository::named(name) == Some(image)) {
            let remedy = self.entry(container.name(), &image, "", "");
            return barred(format!("the image is not from {}", either(&self.images)), &remedy);
        }
        // The exception allows root, not access to the node.
        let extras = sandboxes.extras(placed);
        let Some(what) = extras.in_words() else { return Some(Ok(())) };
        let reason = format!("Pod Security's \"baseline\" rejects {what}");
        let remedy = format!(". Or {}, so that its exception applies", extras.removal());
        Some(Err(Barred { reason, remedy, faults: extras.faults }))
    }

    /// The container's list, and its name.
    fn named(&self) -> Option<(Role, &str)> {
        let init = self.init_container.as_deref().map(|name| (Role::Init, name));
        init.or(self.container.as_deref().map(|name| (Role::Regular, name)))
    }

    /// The entry of the setting `exceptions` that would cover a container. It is like this exception, except for one
    /// field.
    fn entry(&self, container: &str, image: &Repository, field: &str, value: &str) -> String {
        let value = [Text::constant(value)];
        let lists = [("workloads", self.workloads.as_deref()), ("namespaces", self.namespaces.as_deref())];
        let key = if self.init_container.is_some() { INIT_CONTAINER } else { CONTAINER };
        let mut entry = format!("{key}: {}, images: [{image}]", Shortened(container));
        for (name, own) in lists {
            if let Some(names) = if name == field { Some(&value[..]) } else { own } {
                let names: Vec<&str> = names.iter().map(|name| &**name).collect();
                entry.push_str(&format!(", {name}: [{}]", Shortened(&names.join(", "))));
            }
        }
        format!(
            ". If you trust this container, add {{{entry}}} to the `exceptions` setting. The setting replaces the defaults, so also list \
             the default exceptions that you need"
        )
    }

    /// Returns the name that the workload's pods need for the exception, but lack. Pods are admitted on their own.
    pub(super) fn name_unknown_to_pods(&self, workload: &Workload) -> Option<&str> {
        let names = self.workloads.as_ref().filter(|_| workload.makes_pods())?;
        let are_known = names.iter().any(|name| workload.pods_are_named(name));
        names.iter().find(|name| !are_known && workload.is_named(name)).map(|name| &**name)
    }

    /// Rejects values that can never have an effect. Parsing alone accepts them.
    pub(super) fn check(&self, path: &str) -> Result<(), InvalidSettings> {
        let refuse = |field: &str, problem: &str| Err(InvalidSettings::at(&format!("{path}.{field}"), problem));
        match [&self.init_container, &self.container].map(|name| name.as_deref().map(str::is_empty)) {
            [Some(false), None] | [None, Some(false)] => {}
            [Some(_), Some(_)] => {
                return refuse(CONTAINER, "set either initContainer or container, not both");
            }
            [_, Some(true)] => return refuse(CONTAINER, "is required; write the exact name of the container"),
            _ => {
                return refuse(
                    INIT_CONTAINER,
                    "is required; write the exact name of the init container. For a regular container, set `container` instead",
                );
            }
        }
        let Some(images) = self.images.as_ref().filter(|images| !images.is_empty()) else {
            return refuse("images", "is required; list the repositories that the container's image may come from");
        };
        for (index, image) in images.iter().enumerate() {
            if Repository::named(image).is_none() {
                let problem = match Repository::parse(image) {
                    Some(_) => "write only the repository, without tag or digest",
                    None => "not the name of an image repository",
                };
                return refuse(&format!("images[{index}]"), &format!("\"{}\": {problem}", Shortened(image)));
            }
        }
        for (field, names) in [("workloads", &self.workloads), ("namespaces", &self.namespaces)] {
            if names.as_ref().is_some_and(Vec::is_empty) {
                return refuse(field, "must not be empty: it would match nothing; remove it to match any");
            }
        }
        Ok(())
    }
}

/// "a or b", for messages.
fn either(names: &Option<Vec<Text>>) -> String {
    let names: Vec<&str> = names.iter().flatten().map(|name| &**name).collect();
    Shortened(&names.join(" or ")).to_string()
}

fn includes(names: &Option<Vec<Text>>, is: impl Fn(&str) -> bool) -> bool {
    names.as_ref().is_none_or(|names| names.iter().any(|name| is(name)))
}

/// The exception that applies to a container, or why the one meant for it does not.
pub(super) fn exception_for<'e, 'a>(
    exceptions: &'e [Exception<'a>],
    placed: &Placed,
    sandboxes: &Sandboxes,
    namespace: &str,
) -> Option<Result<&'e Exception<'a>, Barred>> {
    let mut barred = None;
    for exception in exceptions {
        match exception.applies(placed, sandboxes, namespace) {
            Some(Ok(())) => return Some(Ok(exception)),
            Some(Err(reason)) => barred = Some(Err(reason)),
            None => {}
        }
    }
    barred
}
