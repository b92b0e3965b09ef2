//! Setting `fill`: adds fields that a pod's security context lacks, before the pod is checked.
//!
//! It never changes a field that is set. A container that an exception allows to be root stays root: if the pod's new
//! fields would give it another user, it gets its own `runAsUser: 0` or `runAsNonRoot: false`. `runAsNonRoot` is not
//! added if another container is explicitly root: that container would then never start, not even in a user namespace.
//!
//! These are not filled, because Kubernetes forbids or undoes it:
//!
//! - Existing Pods and Jobs: their users cannot change.
//! - Objects that a controller created, except its Pods and Jobs: a Deployment would create ReplicaSets without end,
//!   because none of them would match its template.
//! - Windows pods: they have no uids.
//! - Objects that are created with a uid: the API server sets the uid after mutation, so the request comes from
//!   Kubewarden's audit, or the object will not be changed.
//!
//! They are checked as they are.
//!
//! Read: the names of the workload, and whether the fields are in the pod's `securityContext`. Source: "the k8s manifest
//! files define the overridden security context with the created user and group", "Security Overview"; [`flyte::USERS`].

use std::fmt;

use k8s_openapi::{
    Resource,
    api::{batch::v1::Job, core::v1::Pod},
};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{
    exceptions::{Exception, exception_for},
    finding::notice_at,
    rules,
    sandbox::Sandboxes,
    settings::Groups,
};
use crate::{
    admission::AdmissionRequest,
    edit, flyte,
    id::Id,
    location,
    settings::InvalidSettings,
    text::Text,
    verdict::{Notice, Shortened},
    view::view,
    workload::{Container, Placed, PodSpec, Workload},
};

/// The fields to add.
#[derive(Debug)]
pub(super) struct Fill<'a> {
    /// The fields by component; if empty, those of Flyte's charts.
    components: Vec<(Text<'a>, Fields<'a>)>,
    /// Whether only `runAsNonRoot` is added, as on OpenShift, which assigns uids and gids itself.
    leaves_ids: bool,
}

view! {
    /// The fields of a pod's security context that can be added.
    pub(super) struct Fields<'a>: strict {
        "runAsNonRoot" => run_as_non_root: bool,
        "runAsUser" => run_as_user: Id,
        "runAsGroup" => run_as_group: Id,
        "fsGroup" => fs_group: Id,
        "fsGroupChangePolicy" => fs_group_change_policy: Text<'a>,
    }
}

/// The key for all components.
const EVERY: &str = "*";
/// The key that is not a component: with the value `unset`, no ids are added.
const RUN_AS_USER: &str = "runAsUser";
const RUN_AS_NON_ROOT: &str = "runAsNonRoot";
const PRESET: &str = "flyte";
const CHANGE_POLICIES: [&str; 2] = ["Always", "OnRootMismatch"];

/// A field's name and its value as JSON.
type Field = (&'static str, String);

/// A request's object with the added fields.
pub(super) struct Filled {
    /// The object, as JSON.
    pub(super) object: String,
    /// The added fields, as notices.
    pub(super) additions: Additions,
}

/// Notices of what was added; [`Self::notices`] completes their texts.
pub(super) struct Additions(Vec<Notice>);

impl Additions {
    /// The notices of what was added, or would be if the request were allowed.
    pub(super) fn notices(self, is_let_in: bool) -> impl Iterator<Item = Notice> {
        self.0.into_iter().map(move |mut notice| {
            let Notice { rule, text, .. } = &mut notice;
            let adds = if is_let_in {
                "the `fill` setting added"
            } else {
                "once the violations are fixed, the `fill` setting adds"
            };
            *text = match *rule == rules::KEPT_ROOT {
                true => format!(
                    "{adds} {text} to this container. It may run as root, and otherwise the pod's values would apply"
                ),
                false => format!("{adds} {text}"),
            };
            notice
        })
    }
}

impl Fill<'_> {
    /// Returns the object with the fields that it lacks; `None` if it lacks none.
    pub(super) fn filled(
        &self,
        request: &AdmissionRequest,
        workload: &Workload,
        exceptions: &[Exception],
    ) -> Option<Filled> {
        let object = request.object.filter(|_| can_change(request, workload))?.get();
        let mut fields = self.fields(workload);
        if fields.is_empty() {
            return None;
        }
        let path: Vec<&str> = workload.pod_path.split('.').chain(["securityContext"]).collect();
        let there = edit::at(object, &path).map(edit::members).unwrap_or_default();
        fields.retain(|(name, _)| there.get(*name).is_none_or(|value| value.get() == "null"));
        let sandboxes = Sandboxes::from_workload(workload);
        let is_excepted =
            |placed: &Placed| matches!(exception_for(exceptions, placed, &sandboxes, request.namespace()), Some(Ok(_)));
        let pod = &workload.pod;
        if workload.containers().any(|placed| is_root(placed.container, pod) && !is_excepted(&placed)) {
            fields.retain(|(name, _)| *name != RUN_AS_NON_ROOT);
        }
        if fields.is_empty() {
            return None;
        }
        let at = format!("{}.securityContext", workload.pod_path);
        let mut filled = Filled {
            object: edit::add_members(object, &path, &fields),
            additions: Additions(vec![notice_at(at, "", rules::FILLED, listed(&fields))]),
        };
        for placed in workload.containers().filter(is_excepted) {
            let keeps = kept_root(placed.container, pod, &fields);
            if !keeps.is_empty() {
                let path = format!("{}.{}.{}.securityContext", workload.pod_path, placed.role.field(), placed.index);
                filled.object = edit::add_members(&filled.object, &path.split('.').collect::<Vec<_>>(), &keeps);
                let container = placed.container.name();
                filled.additions.0.push(notice_at(placed.path(), container, rules::KEPT_ROOT, listed(&keeps)));
            }
        }
        Some(filled)
    }

    /// The fields for a workload: its component's, then those for every component.
    fn fields(&self, workload: &Workload) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut add = |more: &Fields| {
            for (name, value) in more.named() {
                let is_new = !fields.iter().any(|(other, _)| *other == name);
                if let Some(value) = value.filter(|_| is_new && self.fills(name)) {
                    fields.push((name, value));
                }
            }
        };
        let is_component = |name: &str| name != EVERY && workload.is_named(name);
        if self.components.is_empty() {
            let users = flyte::USERS.iter().filter(|users| users.components.iter().any(|name| is_component(name)));
            users.for_each(|users| add(&Fields::from_users(users)));
        }
        self.components.iter().filter(|(name, _)| is_component(name)).for_each(|(_, own)| add(own));
        self.components.iter().filter(|(name, _)| &**name == EVERY).for_each(|(_, all)| add(all));
        fields
    }

    /// Whether a field is added at all.
    fn fills(&self, name: &str) -> bool {
        !self.leaves_ids || name == RUN_AS_NON_ROOT
    }

    /// Rejects values that the policy forbids, or that have no effect. Parsing alone accepts them.
    pub(super) fn check(&self, groups: Groups) -> Result<(), InvalidSettings> {
        for (name, fields) in &self.components {
            let refuse = |field: &str, problem: &str| {
                Err(InvalidSettings::at(
                    &format!("{}{field}", location::key("fill", &Shortened(name).to_string())),
                    problem,
                ))
            };
            let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.' | b'_');
            if &**name != EVERY && (name.is_empty() || !name.bytes().all(is_letter)) {
                return refuse("", "must be the name of a component, or `*`");
            }
            if fields.run_as_user == Some(Id::ROOT) {
                return refuse(".runAsUser", "must not be 0, which is root");
            }
            for (field, id) in [(".runAsGroup", fields.run_as_group), (".fsGroup", fields.fs_group)] {
                if id == Some(Id::ROOT) && groups == Groups::NonZero {
                    return refuse(field, "must not be 0, which `groups: nonZero` rejects");
                }
            }
            if fields.run_as_non_root == Some(false) {
                return refuse(".runAsNonRoot", "must not be false, which allows root");
            }
            if fields.fs_group_change_policy.as_deref().is_some_and(|policy| !CHANGE_POLICIES.contains(&policy)) {
                return refuse(".fsGroupChangePolicy", "must be `Always` or `OnRootMismatch`");
            }
            if !fields.named().iter().any(|(name, value)| value.is_some() && self.fills(name)) {
                let field = if self.leaves_ids {
                    "`runAsNonRoot`, because `runAsUser: unset` leaves out the other fields"
                } else {
                    "at least one field"
                };
                return refuse("", &format!("must set {field}"));
            }
        }
        Ok(())
    }
}

impl Fields<'_> {
    fn from_users(users: &flyte::Users) -> Fields<'static> {
        Fields {
            run_as_non_root: Some(true),
            run_as_user: Some(Id(users.user)),
            run_as_group: users.group.map(Id),
            fs_group: users.fs_group.map(Id),
            fs_group_change_policy: users.fs_group_change_policy.map(Text::constant),
            ..Fields::default()
        }
    }

    /// The fields by name, each with its value as JSON.
    fn named(&self) -> [(&'static str, Option<String>); 5] {
        let id = |id: &Option<Id>| id.map(|Id(id)| id.to_string());
        [
            (RUN_AS_NON_ROOT, self.run_as_non_root.map(|value| value.to_string())),
            (RUN_AS_USER, id(&self.run_as_user)),
            ("runAsGroup", id(&self.run_as_group)),
            ("fsGroup", id(&self.fs_group)),
            ("fsGroupChangePolicy", self.fs_group_change_policy.as_ref().map(|policy| format!("\"{}\"", &**policy))),
        ]
    }
}

/// Whether a request's object can be changed.
fn can_change(request: &AdmissionRequest, workload: &Workload) -> bool {
    let makes_no_others = matches!(request.kind().name(), Pod::KIND | Job::KIND);
    let is_there = request.is_update();
    let has_uid = workload.metadata.uid.is_some();
    let is_allowed = if makes_no_others { !is_there } else { !workload.is_controlled() };
    !workload.pod.may_run_on_windows() && (is_there || !has_uid) && is_allowed
}

/// Whether a container is explicitly root, and starts.
fn is_root(container: &Container, pod: &PodSpec) -> bool {
    let (own, inherited) = (container.security_context(), pod.security_context());
    own.run_as_user.or(inherited.run_as_user) == Some(Id::ROOT) && own.run_as_non_root.is_none()
}

/// The fields that keep a container root when its pod gets more fields, if it may be root now.
fn kept_root(container: &Container, pod: &PodSpec, more: &[Field]) -> Vec<Field> {
    let own = container.security_context();
    let inherited = pod.security_context();
    let user = own.run_as_user.or(inherited.run_as_user);
    let non_root = own.run_as_non_root.or(inherited.run_as_non_root);
    let is_root = user.map_or(non_root != Some(true), |user| user == Id::ROOT);
    let gets = |field: &str| is_root && more.iter().any(|(name, _)| *name == field);
    let user = (user.is_none() && gets(RUN_AS_USER)).then(|| (RUN_AS_USER, "0".to_owned()));
    let non_root =
        (own.run_as_non_root.is_none() && gets(RUN_AS_NON_ROOT)).then(|| (RUN_AS_NON_ROOT, "false".to_owned()));
    user.into_iter().chain(non_root).collect()
}

fn listed(fields: &[Field]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}: {}", value.trim_matches('"'))).collect();
    fields.join(", ")
}

impl<'de: 'a, 'a> Deserialize<'de> for Fill<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Fill<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`flyte`, or a map from components to fields")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Fill<'de>, E> {
                match name {
                    PRESET => Ok(Fill { components: Vec::new(), leaves_ids: false }),
                    _ => Err(E::unknown_variant(name, &[PRESET])),
                }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Fill<'de>, A::Error> {
                let mut fill = Fill { components: Vec::new(), leaves_ids: false };
                while let Some(name) = map.next_key::<Text>()? {
                    if &*name != RUN_AS_USER {
                        fill.components.push((name, map.next_value()?));
                    } else if map.next_value::<&RawValue>()?.get() == "\"unset\"" {
                        fill.leaves_ids = true;
                    } else {
                        return Err(de::Error::custom(
                            "`runAsUser` can only be `unset` here; to set a user, write `runAsUser` under a component, or under \
                             `*` for all components",
                        ));
                    }
                }
                match fill.components.is_empty() && !fill.leaves_ids {
                    true => Err(de::Error::custom(
                        "must name at least one component, or be `flyte`, for the values of Flyte's charts",
                    )),
                    false => Ok(fill),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
