//! The findings of `flyte-non-root`.

use crate::rule::rules;

rules! {
    "flyte-non-root":
    High RUNS_AS_ROOT = "runs-as-root",
        "a container whose user is root",
        "A process that escapes from it is root on the node. Set `securityContext.runAsUser` to a non-zero uid that the image can run as.";
    Medium NOT_PROVEN_NON_ROOT = "not-proven-non-root",
        "a container that may be root, because only its image decides",
        "A new image can run as root without a warning. Set `securityContext.runAsUser` to a non-zero uid that the image can run as. On OpenShift, which assigns users to pods, you can set `runAsNonRoot: true` instead.";
    Low NEVER_STARTS = "never-starts",
        "a container that the kubelet never starts: `runAsUser: 0` together with `runAsNonRoot: true`",
        "The pod waits with CreateContainerConfigError. Set another user, or `runAsNonRoot: false` if it may be root.";
    Medium HAS_ROOT_GROUP = "has-root-group",
        "group 0, where the setting `groups` is `nonZero`",
        "Many files in images belong to group 0, which can write them. Set another group.";
    #[cfg(feature = "flyte-non-root-image-user")]
    Low IMAGE_USER_IS_NAME = "image-user-is-name",
        "`runAsNonRoot: true` without `runAsUser`, and an image whose `USER` is a name",
        "The kubelet never starts the container, because a name may be root. Set `securityContext.runAsUser` to that user's uid.";
    #[cfg(feature = "flyte-non-root-image-user")]
    Notice IMAGE_USER_UNKNOWN = "image-user-unknown",
        "an image whose `USER` is not known, under `runAsNonRoot: true`",
        "It may never start. Set `securityContext.runAsUser`.";
    #[cfg(feature = "flyte-non-root-image-user")]
    Notice PROVEN_BY_IMAGE = "proven-by-image",
        "a container that is non-root only because of its image's `USER`",
        "A new image can have another user. Set `securityContext.runAsUser`, which also applies to new images.";
    Notice EXCEPTION_NOT_NEEDED = "exception-not-needed",
        "an exception for a container that does not need it",
        "It would also allow a later version that runs as root. Remove it from the setting `exceptions`.";
    Notice EXCEPTION_UNKNOWN_TO_PODS = "exception-unknown-to-pods",
        "an exception that matches the name of the workload, but not its pods",
        "The pods will be rejected, and the rollout never ends. Label the pod template as the finding says.";
    Notice FILLED = "filled",
        "values that the setting `fill` added",
        "The object is allowed with them. Set them in the chart's values to see them there too.";
    Notice KEPT_ROOT = "kept-root",
        "a container that may be root, and stays root although `fill` set another user for its pod",
        "It is root, as before. If it does not need root, set its `runAsUser`.";
    Notice TASK_TEMPLATE = "task-template",
        "a PodTemplate for tasks that sets no user",
        "Only tasks use it, and run as their image's `USER`. With `runAsNonRoot: true` for the pod, tasks start only if their image's `USER` is a number other than 0.";
}
