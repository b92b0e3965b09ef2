//! Setting `groups: nonZero`: no container has group 0, which owns many of an image's files.
//!
//! Off by default: OpenShift gives containers a random uid in group 0. Groups mean nothing on Windows, and group 0 of a
//! user namespace (`hostUsers: false`) is not the node's. An unset `runAsGroup` is left to the image.
//!
//! Read: `hostUsers`, the fields that name the operating system; of the pod's and the container's `securityContext`: `runAsGroup`;
//! of the pod's: `fsGroup`, `supplementalGroups`. Rejected: 0. Source: "a new user group and user", "Security Overview",
//! "Changes".

use super::{
    finding::{Finding, Inherited},
    rules,
};
use crate::{
    id::Id,
    workload::{Container, PodSpec},
};

fn are_judged(pod: &PodSpec) -> bool {
    pod.may_run_on_linux() && !pod.has_own_users()
}

/// The groups that the pod's own security context gives to every container, with the fields.
pub(super) fn judge_pod(pod: &PodSpec) -> impl Iterator<Item = (&'static str, Finding)> {
    let context = pod.security_context();
    let volumes = (are_judged(pod) && context.fs_group == Some(Id::ROOT)).then(|| {
        let problem = "is 0, so the pod's volumes belong to group 0, and every container is in group 0";
        ("fsGroup", Finding::new(rules::HAS_ROOT_GROUP, problem, "set it to a non-zero gid"))
    });
    let more = context.supplemental_groups.iter().flatten();
    let more = (are_judged(pod) && more.into_iter().any(|group| *group == Id::ROOT)).then(|| {
        let problem = "contains 0, so every container is in group 0";
        ("supplementalGroups", Finding::new(rules::HAS_ROOT_GROUP, problem, "remove the 0"))
    });
    volumes.into_iter().chain(more)
}

pub(super) fn judge(container: &Container, pod: &PodSpec) -> Option<Finding> {
    let own = container.security_context().run_as_group;
    let group = Inherited::resolve(own, pod.security_context().run_as_group);
    (are_judged(pod) && group.value == Some(Id::ROOT)).then(|| {
        Finding::new(
            rules::HAS_ROOT_GROUP,
            &format!("runs with group 0 (runAsGroup: 0{})", group.origin()),
            "set securityContext.runAsGroup to a non-zero gid",
        )
    })
}
