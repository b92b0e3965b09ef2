//! `flyte-non-root`: Flyte's components run as a non-root user.
//!
//! Every init, regular and ephemeral container of a workload is checked, at one of two levels. `effective` checks the
//! user that the container will really have; `restricted` checks what Pod Security Standards require. Containers in
//! `exceptions` may be root; Flyte's document makes one exception. On request, `groups` are checked too, `imageUser`
//! looks up the users of images, and `fill` adds missing fields before the check.
//!
//! Checked: Pod and its subresource `ephemeralcontainers`, ReplicationController, Deployment, ReplicaSet, StatefulSet,
//! DaemonSet, Job, CronJob, PodTemplate. Not checked: an UPDATE of an object that is being deleted, since rejecting it
//! would only keep the object; other subresources, which cannot change a user.
//!
//! Source: Flyte's "Security Overview", "Using the Non-root User" and "Why override".

mod effective;
mod exceptions;
mod fill;
mod finding;
mod groups;
#[cfg(feature = "flyte-non-root-image-user")]
mod image_user;
mod restricted;
mod rules;
mod sandbox;
mod settings;
mod windows;

use exceptions::{Exception, exception_for};
use fill::Filled;
use finding::{Finding, notice_at};
#[cfg(feature = "flyte-non-root-image-user")]
use image_user::Images;
use sandbox::Sandboxes;
use serde_json::value::RawValue;
use settings::{Groups, ImageUser, Level, Settings};

use crate::{
    admission::{AdmissionRequest, Kind},
    flyte,
    host::Host,
    image::Repository,
    policy::{Declared, Policy},
    sentence::Sentence,
    settings::InvalidSettings,
    verdict::{self, Note, Notice, Shortened, Unjudged, Verdict},
    workload::{self, Placed, Workload},
};

/// The policy `flyte-non-root`, as its own module or as the one that may look up images.
#[derive(Debug)]
pub struct NonRoot {
    name: &'static str,
    may_ask_for_images: bool,
}

/// The policy's declaration.
pub const DECLARED: Declared = Declared {
    policy: &NonRoot::POLICY,
    variant_of: None,
    rules: rules::RULES,
    severities: rules::SEVERITIES,
    settings: settings::SETTINGS,
    asks_for: &[],
    asks_for_images: false,
    most_bytes: 265_000,
};

/// The policy that may look up images.
#[cfg(feature = "flyte-non-root-image-user")]
pub const DECLARED_WITH_IMAGES: Declared = Declared {
    policy: &NonRoot::IMAGE_USER,
    variant_of: Some("flyte-non-root"),
    asks_for_images: true,
    most_bytes: 272_000,
    ..DECLARED
};

impl NonRoot {
    /// The policy.
    pub const POLICY: Self = Self { name: "flyte-non-root", may_ask_for_images: false };
    /// The policy with `imageUser: check`. It is a separate module, since a host must be told to allow its look-ups.
    #[cfg(feature = "flyte-non-root-image-user")]
    pub const IMAGE_USER: Self = Self { name: "flyte-non-root-image-user", may_ask_for_images: true };

    fn settings<'s>(&self, settings: Option<&'s RawValue>) -> Result<Settings<'s>, InvalidSettings> {
        let settings = Settings::parse(settings)?;
        match settings.image_user() {
            ImageUser::Check if !self.may_ask_for_images => Err(InvalidSettings::at(
                "imageUser",
                "this module cannot read images; use flyte-non-root-image-user, the same policy in a module that can",
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
        let workload = Workload::from_request(request)?.with_users()?;
        if request.is_update() && workload.metadata.deletion_timestamp.is_some() {
            return Ok(Verdict::default());
        }
        let documented = [Exception::documented()];
        let exceptions = settings.exceptions.as_deref().unwrap_or(&documented);
        let is_for_tasks =
            workload::is_template(request.kind()) && !workload.containers().any(|placed| runs_flyte(&placed));
        let judge = |workload: &Workload| {
            let mut verdict = judge_workload(workload, request.namespace(), &settings, exceptions, host);
            verdict.seen.judged();
            if is_flytes(workload) {
                verdict.seen.shows(Sentence::NonRoot);
                verdict.seen.shows(Sentence::Exception);
            }
            if is_for_tasks {
                leave_to_tasks(workload, &mut verdict);
            }
            verdict
        };
        let fill = settings.fill.as_ref().filter(|_| request.sub_resource().is_empty());
        let Some(Filled { object, additions }) = fill.and_then(|fill| fill.filled(request, &workload, exceptions))
        else {
            return Ok(judge(&workload));
        };
        let object = RawValue::from_string(object).map_err(|error| Unjudged {
            path: String::new(),
            reason: format!("with the values of fill it is invalid JSON: {error}"),
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

    judge_pod(workload, settings, &mut verdict);
    let sandboxes = Sandboxes::from_workload(workload);
    for placed in workload.containers() {
        let user = match settings.level() {
            Level::Effective => effective::judge(placed.container, pod),
            Level::Restricted => restricted::judge(placed.container, pod),
        };
        let (user, barred) = match exception_for(exceptions, &placed, &sandboxes, namespace) {
            Some(Ok(exception)) => {
                let name = exception.name_unknown_to_pods(workload);
                verdict.notices.extend(match (&user, name) {
                    (None, _) => Some(not_needed(&placed)),
                    (Some(_), Some(name)) => Some(unknown_to_pods(&placed, name)),
                    (Some(_), None) => None,
                });
                (user.and_then(Finding::despite_exception), None)
            }
            other => {
                #[cfg(feature = "flyte-non-root-image-user")]
                let user = match &mut images {
                    // No image fixes a problem on Windows.
                    Some(images) if !windows::is_refused(placed.container, pod, settings.level()) => {
                        let (user, notice) = images.judge(user, &placed, pod, settings.level());
                        verdict.notices.extend(notice);
                        user
                    }
                    _ => user,
                };
                (user, other.and_then(Result::err))
            }
        };
        let group = match settings.groups() {
            Groups::NonZero => groups::judge(placed.container, pod),
            Groups::Off => None,
        };
        // An exception is only about the user.
        let barred = barred.filter(|_| user.is_some());
        if let Some(mut finding) = Finding::joined(user, group) {
            if let Some(barred) = barred {
                finding = finding.without_exception(barred);
            }
            if finding.rule == rules::NOT_PROVEN_NON_ROOT && placed.container.name() == "sync-cluster-resources" {
                finding = finding.without_value(workload);
            }
            let mut violation = finding.violation(placed.path(), placed.container.name());
            // Another image is another program, and may have another USER.
            violation.rest_on(verdict::hash(placed.container.image()));
            verdict.violations.push(violation);
        }
    }
    verdict
}

/// Checks the pod's own security context.
fn judge_pod(workload: &Workload, settings: &Settings, verdict: &mut Verdict) {
    let pod = &workload.pod;
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
    if !verdict.violations.is_empty() {
        // The pod's fields apply to each of its containers.
        let containers = workload.containers().map(|placed| placed.container);
        let containers = containers.map(|container| verdict::hash((container.name(), container.image())));
        verdict.violations.rest_on_each(&containers.collect::<Vec<_>>());
    }
}

/// Whether a container runs one of Flyte's components, by its name in Flyte's charts, its image or its command.
fn runs_flyte(placed: &Placed) -> bool {
    let image = Repository::parse(placed.container.image()).map_or("", |repository| repository.name());
    let command = [placed.container.command, placed.container.args];
    flyte::is_component(placed.container.name())
        || flyte::is_component(image)
        || command.iter().flatten().any(|list| flyte::starts_component(list.get()))
}

/// Whether a workload is one of Flyte's components, by its containers or by its own name.
fn is_flytes(workload: &Workload) -> bool {
    let name = workload.metadata.name.as_deref();
    workload.containers().any(|placed| runs_flyte(&placed))
        || name.or(workload.label()).is_some_and(flyte::names_component)
}

/// Replaces the violations of `not-proven-non-root` in a template for the pods of tasks by one notice. The template
/// runs nothing itself, and its containers are placeholders: the task's image decides which user a task runs as.
fn leave_to_tasks(workload: &Workload, verdict: &mut Verdict) {
    let (open, refused): (Vec<_>, Vec<_>) =
        verdict.violations.take().into_iter().partition(|violation| violation.rule == rules::NOT_PROVEN_NON_ROOT);
    verdict.violations.extend(refused);
    if !open.is_empty() {
        let note = Note::new(
            "this PodTemplate sets no user: each task runs as its image's USER, or as root if the image sets none",
            "to prevent tasks from running as root, set securityContext.runAsNonRoot: true here",
        );
        verdict.notices.push(notice_at(workload.pod_path.to_owned(), "", rules::TASK_TEMPLATE, note));
    }
}

/// Returns the notice that a container does not need its exception. Flyte planned to fix `check-db-ready`, and did.
fn not_needed(placed: &Placed) -> Notice {
    let note = Note::new("does not run as root, so it needs no exception", "remove its exception");
    notice_at(placed.path(), placed.container.name(), rules::EXCEPTION_NOT_NEEDED, note)
}

/// Returns the notice that a container is accepted in its workload, but will be rejected in each of its pods. Such a
/// rollout never ends.
fn unknown_to_pods(placed: &Placed, name: &str) -> Notice {
    let name = Shortened(name);
    let note = Note::new(
        format!(
            "the exception for this container does not cover this workload's pods, because they have no label with the name {name}. So this policy \
             will reject them"
        ),
        format!("label the pod template app.kubernetes.io/name: {name}"),
    );
    notice_at(placed.path(), placed.container.name(), rules::EXCEPTION_UNKNOWN_TO_PODS, note)
}
