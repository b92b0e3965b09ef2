//! What `flyte-non-root` can find.

use crate::rule::rules;

rules! {
    "flyte-non-root":
    Violation RUNS_AS_ROOT = "runs-as-root",
        "a container whose user is root",
        "What breaks out of it has the rights of root on the node. Set `securityContext.runAsUser` to the image's non-zero uid.";
    Violation NOT_PROVEN_NON_ROOT = "not-proven-non-root",
        "a container of which nothing says that it is not root, so that its image decides",
        "The next image may be root, and nobody is told. Set `securityContext.runAsUser` to the image's non-zero uid, or on OpenShift, which gives pods their users, `runAsNonRoot: true`.";
    Violation NEVER_STARTS = "never-starts",
        "a container that the kubelet never starts: `runAsUser: 0` together with `runAsNonRoot: true`",
        "The pod waits with CreateContainerConfigError. Set another user, or `runAsNonRoot: false` where it may be root.";
    Violation HAS_ROOT_GROUP = "has-root-group",
        "group 0, where the setting `groups` is `nonZero`",
        "Many files of images belong to group 0, and may be written by it. Set another group.";
    #[cfg(feature = "flyte-non-root-image-user")]
    Violation IMAGE_USER_IS_NAME = "image-user-is-name",
        "`runAsNonRoot: true` without `runAsUser`, and an image whose `USER` is a name",
        "The kubelet cannot tell whether a name is root, and never starts it. Set `securityContext.runAsUser` to that user's uid.";
    #[cfg(feature = "flyte-non-root-image-user")]
    Notice IMAGE_USER_UNKNOWN = "image-user-unknown",
        "an image whose `USER` is not known, under `runAsNonRoot: true`",
        "It may never start. Set `securityContext.runAsUser`.";
    #[cfg(feature = "flyte-non-root-image-user")]
    Notice PROVEN_BY_IMAGE = "proven-by-image",
        "a container that is not root by its image's `USER` alone",
        "The next image may have another. `securityContext.runAsUser` would hold for that too.";
    Notice EXCEPTION_NOT_NEEDED = "exception-not-needed",
        "an exception for a container that is good without it",
        "It would excuse a later one. Remove it from the setting `exceptions`.";
    Notice EXCEPTION_UNKNOWN_TO_PODS = "exception-unknown-to-pods",
        "an exception that the workload has by its own name, and that its pods will not have",
        "They will be refused, and the rollout never ends. Label the pod template as the finding says.";
    Notice FILLED = "filled",
        "what the setting `fill` put in",
        "The object is let in with it. Write it into the chart's values to see it there too.";
    Notice KEPT_ROOT = "kept-root",
        "an init container that may be root, and got its own user where `fill` gave the pod another",
        "It is root, as before. Where it need not be, set its `runAsUser`.";
    Notice TASK_TEMPLATE = "task-template",
        "a PodTemplate for tasks that says no user",
        "Nothing runs by it but people's tasks, as their images' own `USER`. With `runAsNonRoot: true` at the level of the pod, those whose image names no number or root do not start.";
}
