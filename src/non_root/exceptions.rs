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

    pub(super) fn covers(&self, placed: &Placed, workload: &Workload, namespace: &str) -> bool {
        let container = placed.container;
        placed.role == Role::Init
            && self.init_container.as_deref() == Some(container.name())
            && !container.restarts_always()
            && container.security_context().privileged != Some(true)
            && includes(&self.namespaces, |name| name == namespace)
            && includes(&self.workloads, |name| workload.is_named(name))
            && Repository::of(container.image())
                .is_some_and(|image| self.images.iter().flatten().any(|name| Repository::named(name) == Some(image)))
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

fn includes(names: &Option<Vec<Text>>, is: impl Fn(&str) -> bool) -> bool {
    names.as_ref().is_none_or(|names| names.iter().any(|name| is(name)))
}
