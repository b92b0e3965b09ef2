//! Init containers that may be root.
//!
//! An exception excuses one init container from being root or from not being proven otherwise, and nothing else: no
//! regular or ephemeral container of that name, no sidecar, none that is `privileged: true`.
//!
//! Read: the container's `name`, `image`, `restartPolicy`, `securityContext.privileged`; the object's name and labels;
//! the namespace. Source: "Security Overview", "Why override".

use crate::{
    flyte,
    image::Repository,
    settings::InvalidSettings,
    text::Text,
    verdict::Shortened,
    view::view,
    workload::{Placed, Role, Workload},
};

view! {
    /// An init container that may be root.
    pub(super) struct Exception<'a>: strict {
        /// The init container's exact name.
        "initContainer" => init_container: Text<'a>,
        /// The repositories its image may come from.
        "images" => images: Vec<Text<'a>>,
        /// The workloads it may be in; any where absent.
        "workloads" => workloads: Vec<Text<'a>>,
        /// The namespaces it may be in; any where absent.
        "namespaces" => namespaces: Vec<Text<'a>>,
    }
}

impl Exception<'_> {
    /// The one exception the document makes.
    pub(super) fn documented() -> Exception<'static> {
        let texts = |texts: &[&'static str]| texts.iter().copied().map(Text::constant).collect();
        Exception {
            init_container: Some(Text::constant(flyte::CHECK_DB_READY)),
            images: Some(texts(&flyte::CHECK_DB_READY_IMAGES)),
            workloads: Some(texts(&[flyte::FLYTEADMIN, flyte::DATACATALOG])),
            ..Exception::default()
        }
    }

    /// Whether the exception is meant for the container, by its name; and if so whether it applies, or why not.
    pub(super) fn applies(&self, placed: &Placed, workload: &Workload, namespace: &str) -> Option<Result<(), String>> {
        let container = placed.container;
        if self.init_container.as_deref() != Some(container.name()) {
            return None;
        }
        let image = Repository::of(container.image());
        let reason = if placed.role != Role::Init {
            "it is no init container".to_owned()
        } else if container.restarts_always() {
            "it is a sidecar".to_owned()
        } else if container.security_context().privileged == Some(true) {
            "it is privileged".to_owned()
        } else if !includes(&self.workloads, |name| workload.is_named(name)) {
            format!("its workload is not {}", either(&self.workloads))
        } else if !includes(&self.namespaces, |name| name == namespace) {
            format!("its namespace is not {}", either(&self.namespaces))
        } else if !self.images.iter().flatten().any(|name| image.is_some() && Repository::named(name) == image) {
            format!("its image is not from {}", either(&self.images))
        } else {
            return Some(Ok(()));
        };
        Some(Err(reason))
    }

    /// The name that the workload's pods would need to be excepted as well: they come to admission by themselves.
    pub(super) fn name_unknown_to_pods(&self, workload: &Workload) -> Option<&str> {
        let names = self.workloads.as_ref().filter(|_| workload.makes_pods())?;
        let are_known = names.iter().any(|name| workload.pods_are_named(name));
        names.iter().find(|name| !are_known && workload.is_named(name)).map(|name| &**name)
    }

    /// What reading alone does not notice: values that can never have an effect.
    pub(super) fn check(&self, path: &str) -> Result<(), InvalidSettings> {
        let refuse = |field: &str, problem: &str| Err(InvalidSettings::at(&format!("{path}.{field}"), problem));
        if self.init_container.as_deref().unwrap_or_default().is_empty() {
            return refuse("initContainer", "required: the exact name of the init container");
        }
        let Some(images) = self.images.as_ref().filter(|images| !images.is_empty()) else {
            return refuse("images", "required: the repositories its image may come from");
        };
        for (index, image) in images.iter().enumerate() {
            if Repository::named(image).is_none() {
                let problem = match Repository::of(image) {
                    Some(_) => "write the repository alone, without tag and digest",
                    None => "not the name of an image repository",
                };
                return refuse(&format!("images[{index}]"), &format!("\"{}\": {problem}", &**image));
            }
        }
        for (field, names) in [("workloads", &self.workloads), ("namespaces", &self.namespaces)] {
            if names.as_ref().is_some_and(Vec::is_empty) {
                return refuse(field, "an empty list matches nothing; leave it out to mean any");
            }
        }
        Ok(())
    }
}

/// "a or b", to be read by a person.
fn either(names: &Option<Vec<Text>>) -> String {
    let names: Vec<&str> = names.iter().flatten().map(|name| &**name).collect();
    Shortened(&names.join(" or ")).to_string()
}

fn includes(names: &Option<Vec<Text>>, is: impl Fn(&str) -> bool) -> bool {
    names.as_ref().is_none_or(|names| names.iter().any(|name| is(name)))
}
