//! Setting `imageUser: check`: if `runAsUser` is not set, the image's own `USER` is looked up.
//!
//! | the image's `USER` | with `runAsNonRoot: true` | without |
//! | --- | --- | --- |
//! | a uid other than 0 | runs | accepted, with a notice that only the image sets it |
//! | 0, `root`, none | the kubelet never starts it | root |
//! | a name | the kubelet never starts it: a name proves nothing | not proven |
//! | a number that is not a uid | not proven | not proven |
//! | not known | a notice | not proven, with the reason |
//!
//! Each image is looked up once. Not looked up: the images of containers that may be root, of Windows pods, and of pods
//! in a user namespace that may be root there; at level `restricted`, the images of containers that are rejected
//! anyway.
//!
//! Read: the container's `image`, and of the host's answer `config.config.User`. Source: `verifyRunAsNonRoot` in
//! `pkg/kubelet/kuberuntime/security_context_others.go` of [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes),
//! and `getUserFromImage` in `internal/cri/server/helpers.go` of [containerd](https://github.com/containerd/containerd).

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{
    finding::{Finding, Inherited, SET_USER, notice_at},
    rules,
    settings::Level,
};
use crate::{
    admission,
    host::Host,
    text::Text,
    verdict::{Note, Notice, Shortened, Unjudged},
    view::view,
    workload::{Placed, PodSpec},
};

view! {
    struct Answer<'a> {
        "manifest" => manifest: Manifest<'a>,
        "config" => config: Configuration<'a>,
    }

    struct Manifest<'a> {
        "manifests" => manifests: &'a RawValue,
    }

    struct Configuration<'a> {
        "config" => config: Execution<'a>,
    }

    struct Execution<'a> {
        "User" => user: Text<'a>,
    }
}

/// The user that an image sets.
#[derive(Clone)]
enum User {
    /// A uid, with the image's text.
    Number(String, i64),
    /// Root, with the image's text if it has one.
    Root(Option<String>),
    Name(String),
    /// A number that is not a uid. Runtimes without a fix run some of them as root.
    NoUid(String),
}

/// The images that the host was asked for.
pub(super) struct Images<'c> {
    host: &'c dyn Host,
    known: BTreeMap<String, Result<User, String>>,
}

/// The result for a container whose image is known.
pub(super) type Said = (Option<Finding>, Option<Notice>);

impl<'c> Images<'c> {
    pub(super) fn new(host: &'c dyn Host) -> Self {
        Self { host, known: BTreeMap::new() }
    }

    /// Checks a container with its image; `finding` is the result without the image.
    pub(super) fn judge(&mut self, finding: Option<Finding>, placed: &Placed, pod: &PodSpec, level: Level) -> Said {
        let (own, inherited) = (placed.container.security_context(), pod.security_context());
        let non_root = Inherited::resolve(own.run_as_non_root, inherited.run_as_non_root);
        let is_non_root = non_root.value == Some(true);
        let is_set = own.run_as_user.or(inherited.run_as_user).is_some();
        // Under `restricted` the image proves nothing, and a user namespace may have its own root.
        let is_open = is_non_root || (level == Level::Effective && finding.is_some());
        if is_set || !pod.may_run_on_linux() || !is_open {
            return (finding, None);
        }
        let found = |rule, problem: String| {
            (Some(Finding::new(rule, &problem, SET_USER).mended_by_user(placed.container)), None)
        };
        let noticed = |rule, note| (None, Some(notice_at(placed.path(), placed.container.name(), rule, note)));
        let at = non_root.origin();
        match (self.user(placed.container.image()), is_non_root) {
            (Ok(User::Number(..)), true) => (finding, None),
            (Ok(User::Number(user, uid)), false) => noticed(
                rules::PROVEN_BY_IMAGE,
                Note::new(
                    format!("runs as {user} only because of its image's USER, which another image can change"),
                    format!("set securityContext.runAsUser: {uid}"),
                ),
            ),
            (Ok(User::Root(user)), true) => found(
                rules::NEVER_STARTS,
                format!("never starts: the kubelet rejects an image {} if runAsNonRoot is true{at}", described(user)),
            ),
            (Ok(User::Root(user)), false) => found(
                rules::RUNS_AS_ROOT,
                format!("runs as root: runAsUser is not set, and it uses an image {}", described(user)),
            ),
            (Ok(User::Name(user)), true) => found(
                rules::IMAGE_USER_IS_NAME,
                format!(
                    "never starts: runAsNonRoot: true{at} needs an image whose USER is a number, but the USER is the name {user}"
                ),
            ),
            (Ok(User::Name(user)), false) => found(
                rules::NOT_PROVEN_NON_ROOT,
                format!(
                    "may run as root: runAsUser is not set, and the image's USER is the name {user}, which may have uid 0"
                ),
            ),
            (Ok(User::NoUid(user)), _) => found(
                rules::NOT_PROVEN_NON_ROOT,
                format!(
                    "may run as root: runAsUser is not set, and the image's USER is {user}, which is not a valid uid"
                ),
            ),
            (Err(reason), true) => noticed(
                rules::IMAGE_USER_UNKNOWN,
                Note::new(
                    format!(
                        "does not start unless its image's USER is a number other than 0. The USER could not be checked: {reason}"
                    ),
                    SET_USER,
                ),
            ),
            (Err(reason), false) => {
                let decides = finding.map(|finding| finding.problem).unwrap_or_default();
                found(rules::NOT_PROVEN_NON_ROOT, format!("{decides}. It could not be checked: {reason}"))
            }
        }
    }

    fn user(&mut self, image: &str) -> Result<User, String> {
        if let Some(known) = self.known.get(image) {
            return known.clone();
        }
        if image.is_empty() {
            return Err("the container has no image".to_owned());
        }
        let user = self.host.image(image).map_err(|reason| reason_of(&reason)).and_then(|answer| User::parse(&answer));
        self.known.insert(image.to_owned(), user.clone());
        user
    }
}

/// Returns the reason of a host's error. For an index, Kubewarden's host takes the image of its own platform, if there
/// is one.
fn reason_of(refusal: &str) -> String {
    let is_index = refusal.to_ascii_lowercase().contains("image index");
    let refusal = Shortened(refusal);
    if is_index { format!("{INDEX} (\"{refusal}\")") } else { refusal.to_string() }
}

const INDEX: &str = "the image is a multi-platform index, and the policy engine picked no image from it";

/// The largest uid that Kubernetes accepts.
const MOST_UID: i64 = i32::MAX as i64;

impl User {
    fn parse(answer: &RawValue) -> Result<Self, String> {
        let answer: Answer = admission::read_fields(answer).map_err(|Unjudged { path, reason }| {
            let path = if path.is_empty() { path } else { format!("{path}: ") };
            format!("the policy engine's answer cannot be read ({path}{reason})")
        })?;
        let Some(configuration) = answer.config else {
            let is_index = answer.manifest.is_some_and(|manifest| manifest.manifests.is_some());
            return Err(if is_index {
                INDEX
            } else {
                "the policy engine's answer does not contain the image's configuration"
            }
            .to_owned());
        };
        let user = configuration.config.and_then(|config| config.user);
        let written = user.as_deref().unwrap_or_default();
        // As in containerd: a group may follow, and any text that parses as a number is one.
        let name = written.split(':').next().unwrap_or_default();
        let shown = Shortened(written).to_string();
        Ok(match (name, name.parse::<i64>()) {
            ("", _) => Self::Root(None),
            ("root", _) | (_, Ok(0)) => Self::Root(Some(shown)),
            (_, Ok(uid @ 1..=MOST_UID)) => Self::Number(shown, uid),
            (_, Ok(_)) => Self::NoUid(shown),
            _ => Self::Name(shown),
        })
    }
}

fn described(user: Option<String>) -> String {
    user.map_or_else(|| "without a USER".to_owned(), |user| format!("with USER {user}"))
}
