//! Findings for one container or one field of its pod, and fields that containers inherit from their pod.

use super::{exceptions::Barred, rules};
use crate::{
    flyte,
    image::Repository,
    rule::RuleName,
    verdict::{self, Edit, Note, Notice, Place, Scalar, Shortened, Violation},
    workload::{Container, Workload},
};

pub(super) fn notice_at(path: String, container: &str, rule: RuleName, note: impl Into<Note>) -> Notice {
    Notice::new(rule, Place { path, container: Shortened(container).to_string(), within: None }, note)
}

/// A problem with one container, or with one field of its pod.
pub(super) struct Finding {
    pub(super) rule: RuleName,
    pub(super) problem: String,
    pub(super) mend: String,
    pub(super) edits: Vec<Edit>,
    /// The same as `faults` of a [`Violation`].
    pub(super) faults: Vec<u64>,
}

pub(super) const SET_USER: &str = "set securityContext.runAsUser to a non-zero uid that the image can run as";

impl Finding {
    pub(super) fn new(rule: RuleName, problem: &str, mend: &str) -> Self {
        let faults = vec![verdict::hash((rule.rule, problem))];
        Self { rule, problem: problem.to_owned(), mend: mend.to_owned(), edits: Vec::new(), faults }
    }

    /// The finding with an automatic edit.
    pub(super) fn mended_by(mut self, below: &'static str, value: Scalar) -> Self {
        self.edits = vec![Edit { below, was: None, value: Some(value) }];
        self
    }

    /// Puts the user of Flyte's charts into `mend`, which begins with [`SET_USER`]. Changes nothing if the charts set
    /// no user.
    pub(super) fn mended_by_user(mut self, container: &Container) -> Self {
        let image = Repository::parse(container.image());
        let Some((user, value)) = image.and_then(|image| flyte::user_of(&image)) else { return self };
        let by = match value {
            Some(value) => format!(" (in the chart: {value})"),
            None => ", as Flyte's charts do".to_owned(),
        };
        self.mend = self.mend.replacen(SET_USER, &format!("set securityContext.runAsUser: {user}{by}"), 1);
        self.mended_by("securityContext.runAsUser", Scalar::Number(user))
    }

    /// The finding for a container that may also run on another system.
    pub(super) fn on_system(mut self, system: &str) -> Self {
        self.problem = format!("on {system}, {}", self.problem);
        self
    }

    /// Joins both findings of one container under the rule of the first.
    pub(super) fn joined(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) => Some(Self {
                rule: first.rule,
                problem: format!("{}, and {}", first.problem, second.problem),
                mend: format!("{}, and {}", first.mend, second.mend),
                edits: match (&first.edits[..], &second.edits[..]) {
                    ([], _) | (_, []) => Vec::new(),
                    (first, second) => [first, second].concat(),
                },
                faults: [first.faults, second.faults].concat(),
            }),
            (first, second) => first.or(second),
        }
    }

    /// Returns the part that counts even for a container that may be root: that it can never start as root.
    pub(super) fn despite_exception(mut self) -> Option<Self> {
        if self.rule != rules::NEVER_STARTS {
            return None;
        }
        self.mend = format!(
            "set securityContext.runAsNonRoot: false on this container, which its exception allows to be root, or {}",
            self.mend
        );
        Some(self.mended_by("securityContext.runAsNonRoot", Scalar::Bool(false)))
    }

    /// The finding for a container whose exception does not apply.
    pub(super) fn without_exception(mut self, Barred { reason, remedy, faults }: Barred) -> Self {
        self.faults.extend(faults);
        self.problem.push_str(&format!(". The policy's exception for this container does not apply, because {reason}"));
        self.mend.push_str(&remedy);
        self
    }

    /// Adds a patch for kustomize. The finding is for the container of flyte-core whose user no value of the chart
    /// sets.
    pub(super) fn without_value(mut self, Workload { metadata, pod_path, .. }: &Workload) -> Self {
        let user = match self.edits.first().and_then(|edit| edit.value.as_ref()) {
            Some(Scalar::Number(user)) => user.to_string(),
            _ => "<uid>".to_owned(),
        };
        let name = Shortened(metadata.name.as_deref().unwrap_or_default());
        // Kustomize parses a patch that begins with a bracket as JSON.
        self.mend.push_str(&format!(
            ". The chart has no value for this: with Helm, use `flytewarden fix --fill --stdout -` as a post-renderer; with \
             kustomize, set patches: \
             [{{target: {{name: {name}}}, patch: '[{{\"op\": \"add\", \"path\": \"/{}/securityContext\", \"value\": {{\"runAsUser\": {user}}}}}]'}}]",
            pod_path.replace('.', "/")
        ));
        self
    }

    pub(super) fn violation(self, path: String, container: &str) -> Violation {
        let Self { rule, problem, mend, edits, faults } = self;
        let place = Place { path, container: Shortened(container).to_string(), within: None };
        Violation { edits, faults, ..Violation::new(rule, place, problem, mend) }
    }
}

/// A field of a container's effective security context: its own, else the pod's.
pub(super) struct Inherited<T> {
    pub(super) value: Option<T>,
    pub(super) is_from_pod: bool,
}

impl<T> Inherited<T> {
    pub(super) fn resolve(own: Option<T>, pod: Option<T>) -> Self {
        Self { is_from_pod: own.is_none() && pod.is_some(), value: own.or(pod) }
    }

    /// Why a container never starts: the kubelet rejects this value together with `runAsNonRoot: true`.
    pub(super) fn rejected_with(&self, value: &str, non_root: &Inherited<bool>) -> String {
        let (own, other) = match (self.is_from_pod, non_root.is_from_pod) {
            (true, true) => ("", ", both from the pod's securityContext"),
            _ => (self.origin(), non_root.origin()),
        };
        format!("never starts: the kubelet rejects {value}{own} together with runAsNonRoot: true{other}")
    }

    /// Where the value comes from, unless it is the container's own.
    pub(super) fn origin(&self) -> &'static str {
        if self.is_from_pod { " from the pod's securityContext" } else { "" }
    }
}
