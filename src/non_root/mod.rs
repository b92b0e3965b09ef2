//! `flyte-non-root`: Flyte's components run as a non-root user.
//!
//! Every init, regular and ephemeral container of a workload is judged, at one of two levels: `effective`, what will
//! really happen, or `restricted`, what Pod Security Standards say. `exceptions` may be root; the document makes
//! one. `groups` can be judged too, `imageUser` asks images for their users, and `fill` puts in what a pod lacks before it is
//! judged.
//!
//! Judged: Pod and its subresource `ephemeralcontainers`, ReplicationController, Deployment, ReplicaSet, StatefulSet,
//! DaemonSet, Job, CronJob, PodTemplate. Not judged: an UPDATE of an object that is being deleted, since refusing that
//! would only keep it; other subresources, which cannot change a user.
//!
//! Source: Flyte's "Security Overview", "Using the Non-root User" and "Why override".

mod effective;
mod exceptions;
mod fill;
mod groups;
#[cfg(feature = "flyte-non-root-image-user")]
mod image_user;
mod restricted;
mod sandbox;
mod settings;
mod windows;

use exceptions::{Barred, Exception};
use fill::Filled;
#[cfg(feature = "flyte-non-root-image-user")]
use image_user::Images;
use serde_json::value::RawValue;
use settings::{Groups, ImageUser, Level, Settings};

use crate::{
    admission::{AdmissionRequest, Kind},
    flyte,
    host::Host,
    image::Repository,
    policy::Policy,
    settings::InvalidSettings,
    verdict::{self, Edit, Notice, Place, Scalar, Shortened, Unjudged, Verdict, Violation},
    workload::{self, Container, Placed, Workload},
};

/// The policy `flyte-non-root`, as a module of its own or as the one that may ask for images.
#[derive(Debug)]
pub struct NonRoot {
    name: &'static str,
    may_ask_for_images: bool,
}

/// What findings are said to be of, whichever module finds them.
const NAME: &str = "flyte-non-root";

impl NonRoot {
    /// The policy.
    pub const POLICY: Self = Self { name: NAME, may_ask_for_images: false };
    /// The policy with `imageUser: check`. Its module is another, since a host must be told to allow what it asks.
    #[cfg(feature = "flyte-non-root-image-user")]
    pub const IMAGE_USER: Self = Self { name: "flyte-non-root-image-user", may_ask_for_images: true };

    fn settings<'s>(&self, settings: Option<&'s RawValue>) -> Result<Settings<'s>, InvalidSettings> {
        let settings = Settings::read(settings)?;
        match settings.image_user() {
            ImageUser::Check if !self.may_ask_for_images => Err(InvalidSettings::at(
                "imageUser",
                "this module may not ask for images; the module flyte-non-root-image-user is the same policy, and may",
            )),
            _ => Ok(settings),
        }
    }
}

impl Policy for NonRoot {
    fn name(&self) -> &'static str {
        self.name
    }

    fn concerns(&self, kind: &Kind) -> bool {
        workload::is_workload(kind)
    }

    fn judge(
        &self,
        request: &AdmissionRequest,
        settings: Option<&RawValue>,
        host: &dyn Host,
    ) -> Result<Verdict, Unjudged> {
        if !matches!(request.sub_resource(), "" | "ephemeralcontainers") {
            return Ok(Verdict::default());
        }
        let settings = self.settings(settings)?;
        let workload = Workload::read(request)?.with_users()?;
        if request.is_update() && workload.metadata.deletion_timestamp.is_some() {
            return Ok(Verdict::default());
        }
        let documented = [Exception::documented()];
        let exceptions = settings.exceptions.as_deref().unwrap_or(&documented);
        let judge = |workload: &Workload| judge_workload(workload, request.namespace(), &settings, exceptions, host);
        let fill = settings.fill.as_ref().filter(|_| request.sub_resource().is_empty());
        let Some(Filled { object, additions }) = fill.and_then(|fill| fill.filled(request, &workload, exceptions))
        else {
            return Ok(judge(&workload));
        };
        let object = RawValue::from_string(object).map_err(|error| Unjudged {
            path: String::new(),
            reason: format!("what is filled in makes it no JSON: {error}"),
        })?;
        let mut verdict = judge(&Workload::read_object(request.kind(), &object)?.with_users()?);
        let is_let_in = verdict.violations.is_empty();
        verdict.notices.extend(additions.notices(is_let_in));
        verdict.object = Some(object);
        Ok(verdict)
    }

    fn check_settings(&self, settings: Option<&RawValue>) -> Result<(), InvalidSettings> {
        self.settings(settings)?.check()
    }
}

fn judge_workload(
    workload: &Workload,
    namespace: &str,
    settings: &Settings,
    exceptions: &[Exception],
    #[allow(unused_variables, reason = "only one module asks")] host: &dyn Host,
) -> Verdict {
    let pod = &workload.pod;
    #[cfg(feature = "flyte-non-root-image-user")]
    let mut images = (settings.image_user() == ImageUser::Check).then(|| Images::new(host));
    let mut verdict = Verdict::default();

    let mut refuse_field = |(field, finding): (&str, Finding)| {
        let path = format!("{}.securityContext.{field}", workload.pod_path);
        verdict.violations.push(finding.violation(path, ""));
    };
    if settings.level() == Level::Restricted {
        restricted::judge_pod(pod).for_each(&mut refuse_field);
    }
    if settings.groups() == Groups::NonZero {
        groups::judge_pod(pod).for_each(&mut refuse_field);
    }

    for placed in workload.containers() {
        let user = match settings.level() {
            Level::Effective => effective::judge(placed.container, pod),
            Level::Restricted => restricted::judge(placed.container, pod),
        };
        let user = match exception_for(exceptions, &placed, workload, namespace) {
            Some(Ok(exception)) => {
                let name = exception.name_unknown_to_pods(workload);
                verdict.notices.extend(match (&user, name) {
                    (None, _) => Some(not_needed(&placed)),
                    (Some(_), Some(name)) => Some(unknown_to_pods(&placed, name)),
                    (Some(_), None) => None,
                });
                user.and_then(Finding::despite_exception)
            }
            other => {
                #[cfg(feature = "flyte-non-root-image-user")]
                let user = match &mut images {
                    // What is wrong on Windows no image mends.
                    Some(images) if !windows::is_refused(placed.container, pod, settings.level()) => {
                        let (user, notice) = images.judge(user, &placed, pod, settings.level());
                        verdict.notices.extend(notice);
                        user
                    }
                    _ => user,
                };
                match other {
                    Some(Err(barred)) => user.map(|finding| finding.without_exception(barred)),
                    _ => user,
                }
            }
        };
        let group = match settings.groups() {
            Groups::NonZero => groups::judge(placed.container, pod),
            Groups::Off => None,
        };
        if let Some(finding) = Finding::joined(user, group) {
            let mut violation = finding.violation(placed.path(), placed.container.name());
            // Another image is another program, and may have another USER.
            violation.rest_on(verdict::hash(placed.container.image()));
            verdict.violations.push(violation);
        }
    }
    verdict
}

/// The exception that applies to a container; else why the one meant for it does not.
fn exception_for<'e, 'a>(
    exceptions: &'e [Exception<'a>],
    placed: &Placed,
    workload: &Workload,
    namespace: &str,
) -> Option<Result<&'e Exception<'a>, Barred>> {
    let mut barred = None;
    for exception in exceptions {
        match exception.applies(placed, workload, namespace) {
            Some(Ok(())) => return Some(Ok(exception)),
            Some(Err(reason)) => barred = Some(Err(reason)),
            None => {}
        }
    }
    barred
}

/// An exception outlives its reason: Flyte planned to fix `check-db-ready`, and did.
fn not_needed(placed: &Placed) -> Notice {
    let text = "is accepted as it is, so it no longer needs its exception".to_owned();
    notice_at(placed.path(), placed.container.name(), "exception-not-needed", text)
}

/// Accepted as part of its workload, and then refused in each of its pods: a rollout that never ends.
fn unknown_to_pods(placed: &Placed, name: &str) -> Notice {
    let text = format!(
        "its pods will be refused, not known as {0}; label the pod template app.kubernetes.io/name: {0}",
        Shortened(name)
    );
    notice_at(placed.path(), placed.container.name(), "exception-unknown-to-pods", text)
}

fn notice_at(path: String, container: &str, rule: &'static str, text: String) -> Notice {
    Notice::new(NAME, rule, Place { path, container: Shortened(container).to_string(), within: None }, text)
}

/// What is wrong with one container, or with one field of its pod.
struct Finding {
    rule: Rule,
    problem: String,
    mend: String,
    edits: Vec<Edit>,
    /// As of a [`Violation`].
    faults: Vec<u64>,
}

/// The policy's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    RunsAsRoot,
    NotProvenNonRoot,
    NeverStarts,
    HasRootGroup,
    #[cfg(feature = "flyte-non-root-image-user")]
    ImageUserIsName,
}

impl Rule {
    /// The rule's name in reports. Stable: people filter by it.
    fn name(self) -> &'static str {
        match self {
            Self::RunsAsRoot => "runs-as-root",
            Self::NotProvenNonRoot => "not-proven-non-root",
            Self::NeverStarts => "never-starts",
            Self::HasRootGroup => "has-root-group",
            #[cfg(feature = "flyte-non-root-image-user")]
            Self::ImageUserIsName => "image-user-is-name",
        }
    }
}

const SET_USER: &str = "set securityContext.runAsUser to the image's non-zero uid";

impl Finding {
    fn new(rule: Rule, problem: &str, mend: &str) -> Self {
        let faults = vec![verdict::hash((rule.name(), problem))];
        Self { rule, problem: problem.to_owned(), mend: mend.to_owned(), edits: Vec::new(), faults }
    }

    /// The finding with its mend for programs.
    fn mended_by(mut self, below: &'static str, value: Scalar) -> Self {
        self.edits = vec![Edit { below, was: None, value: Some(value) }];
        self
    }

    /// The finding whose mend is [`SET_USER`], for programs where Flyte's charts say which user.
    fn mended_by_user(self, container: &Container) -> Self {
        match Repository::of(container.image()).and_then(|image| flyte::user_of(&image)) {
            Some(user) => self.mended_by("securityContext.runAsUser", Scalar::Number(user)),
            None => self,
        }
    }

    /// Both findings of one container as one, under the rule of the first.
    fn joined(first: Option<Self>, second: Option<Self>) -> Option<Self> {
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

    /// What is left of the finding for a container that may be root: that it can never start as root.
    fn despite_exception(mut self) -> Option<Self> {
        if self.rule != Rule::NeverStarts {
            return None;
        }
        self.mend =
            format!("set securityContext.runAsNonRoot: false on this container, which may be root, or {}", self.mend);
        Some(self.mended_by("securityContext.runAsNonRoot", Scalar::Bool(false)))
    }

    /// The finding about a container that an exception was meant for.
    fn without_exception(mut self, Barred { reason, remedy, faults }: Barred) -> Self {
        self.faults.extend(faults);
        self.problem.push_str(&format!(", and its exception does not apply: {reason}"));
        self.mend.push_str(&format!("; {remedy}"));
        self
    }

    fn violation(self, path: String, container: &str) -> Violation {
        let Self { rule, problem, mend, edits, faults } = self;
        let place = Place { path, container: Shortened(container).to_string(), within: None };
        Violation { edits, faults, ..Violation::new(NAME, rule.name(), place, problem, mend) }
    }
}

/// A field of a container's effective security context: its own, else the pod's.
struct Inherited<T> {
    value: Option<T>,
    is_from_pod: bool,
}

impl<T> Inherited<T> {
    fn of(own: Option<T>, pod: Option<T>) -> Self {
        Self { is_from_pod: own.is_none() && pod.is_some(), value: own.or(pod) }
    }

    /// Where the value stands, unless it is the container's own.
    fn origin(&self) -> &'static str {
        if self.is_from_pod { " from the pod's securityContext" } else { "" }
    }
}
