//! The names that Flyte's charts use.
//!
//! Source: `charts/flyte-core/templates` of [flyteorg/flyte](https://github.com/flyteorg/flyte).

#[cfg(feature = "pod-users")]
use crate::image::Repository;

/// The control plane's API server.
pub const FLYTEADMIN: &str = "flyteadmin";
/// The ConfigMaps of its configuration: flyte-core's before and since v1, and the sandbox's.
pub const ADMIN_CONFIG_MAPS: [&str; 3] = ["flyte-admin-config", "flyte-admin-base-config", "flyte-sandbox-config"];
/// The chart of the binary that holds all of Flyte. Its Deployment is `<release>-flyte-binary`, or just the release's name if
/// that contains `flyte-binary`. Its ConfigMap has the Deployment's name with `-config` appended.
pub const FLYTE_BINARY: &str = "flyte-binary";
/// The containers that run its server: flyte-core's and flyte-binary's.
pub const ADMIN_CONTAINERS: [&str; 2] = [FLYTEADMIN, "flyte"];
/// The last parts of its images' repositories, and of those of the binary that holds all of Flyte.
pub const ADMIN_IMAGES: [&str; 4] = [FLYTEADMIN, "flyteadmin-release", FLYTE_BINARY, "flyte-binary-release"];
/// The last part of the repository of Flyte 2's image. Its chart is published under the name of Flyte 1's, and its container,
/// Deployment and ConfigMap have Flyte 1's names too.
#[cfg(any(feature = "admin-config", feature = "pod-users"))]
pub const FLYTE_2_IMAGE: &str = "flyte-binary-v2";
/// The last part of the repository of Flyte 2's console image.
#[cfg(feature = "flyte2-exposure")]
pub const CONSOLE_2_IMAGE: &str = "flyteconsole-v2";
/// The label in which Helm charts name the chart that created an object.
#[cfg(feature = "admin-config")]
pub const CHART_LABEL: &str = "helm.sh/chart";

/// Whether a value of that label is Flyte 2's chart, such as `flyte-binary-v2.0.43`.
#[cfg(feature = "admin-config")]
pub fn is_chart_of_flyte_two(chart: &str) -> bool {
    let version = chart.strip_prefix(FLYTE_BINARY);
    version.is_some_and(|version| version.starts_with("-v2") || version.starts_with("-2"))
}

/// The programs in those images that are servers.
pub const ADMIN_PROGRAMS: [&str; 2] = [FLYTEADMIN, "flyte"];
/// The commands that start the server in these programs: `flyteadmin serve`, and `flyte start`.
pub const ADMIN_COMMANDS: [&str; 2] = ["serve", "start"];
/// flyteadmin's other commands, which may come first instead.
#[cfg(feature = "admin-config")]
pub const OTHER_COMMANDS: [&str; 8] =
    ["clusterresource", "completion", "help", "migrate", "pflags", "secret", "secrets", "version"];
/// The files of its configuration, as `--config` names them: flyte-core's, and flyte-binary's.
#[cfg(feature = "admin-config")]
pub const ADMIN_CONFIG_FILES: [&str; 2] = ["/etc/flyte/config/*.yaml", "/etc/flyte/config.d/*.yaml"];
/// Flyte's web page: its container, and the last part of its image's repository. flyte-binary
/// serves its own copy, which uses no other origin.
pub const FLYTECONSOLE: &str = "flyteconsole";
/// The ConfigMap that its container takes its environment from.
pub const CONSOLE_CONFIG_MAP: &str = "flyte-console-config";
/// The variable that tells it where flyteadmin is.
pub const ADMIN_API_URL: &str = "ADMIN_API_URL";
/// The store of task outputs that can be reused.
pub const DATACATALOG: &str = "datacatalog";
/// The users that components run as.
pub struct Users {
    /// The names of the workloads, or of their pods.
    pub components: &'static [&'static str],
    /// `runAsUser`.
    pub user: u32,
    /// `runAsGroup`.
    pub group: Option<u32>,
    /// `fsGroup`.
    pub fs_group: Option<u32>,
    /// `fsGroupChangePolicy`.
    pub fs_group_change_policy: Option<&'static str>,
}

/// The users that Flyte's charts give to the pods of its components: flyte-core's `values.yaml`, and `podSecurityContext` in
/// that of flyte-binary, where it is off by default. All have `runAsNonRoot: true`; in the charts flytepropeller lacks it.
/// The charts do not cover the last three names of the first entry, which run images of flyteadmin and flytepropeller.
pub const USERS: [Users; 4] = [
    Users {
        components: &[
            FLYTEADMIN,
            "flytescheduler",
            "flytepropeller",
            "flyte-pod-webhook",
            "flyte-pod-webhook-secret",
            "syncresources",
            "flyteclusterresourcesync",
        ],
        user: 1001,
        group: None,
        fs_group: Some(65534),
        fs_group_change_policy: Some("Always"),
    },
    Users {
        components: &[DATACATALOG],
        user: 1001,
        group: None,
        fs_group: Some(1001),
        fs_group_change_policy: Some("OnRootMismatch"),
    },
    Users {
        components: &[FLYTECONSOLE],
        user: 1000,
        group: None,
        fs_group: None,
        fs_group_change_policy: Some("OnRootMismatch"),
    },
    Users {
        components: &[FLYTE_BINARY],
        user: 65534,
        group: Some(65534),
        fs_group: Some(65534),
        fs_group_change_policy: None,
    },
];

/// The containers and the images of Flyte's components, versions 1 and 2.
const COMPONENTS: [&str; 17] = [
    FLYTEADMIN,
    "flytescheduler",
    "flytepropeller",
    "flytepropeller-manager",
    "flyte-pod-webhook",
    "sync-cluster-resources",
    DATACATALOG,
    FLYTECONSOLE,
    "flyteconsole-v2",
    FLYTE_BINARY,
    "flyte-binary-v2",
    "flyteagent",
    "flyteconnector",
    "flyte-connectors",
    "flytecopilot",
    "flyte-sandbox",
    "cacheservice",
];

/// Whether a name is that of a Flyte component. It is a container's name, or the last part of its image's repository.
pub fn is_component(name: &str) -> bool {
    COMPONENTS.contains(&name.strip_suffix("-release").unwrap_or(name))
}

/// Whether a workload's name contains that of a component, as `prod-flytepropeller` does.
pub fn names_component(name: &str) -> bool {
    COMPONENTS.iter().any(|component| name.contains(component))
}

/// Whether a command line, as JSON, starts a component: `["flytepropeller", ...]`, `["/bin/flytescheduler", ...]`.
pub fn starts_component(command: &str) -> bool {
    const PROGRAMS: [&str; 6] =
        [FLYTEADMIN, "flytepropeller", "flytepropeller-manager", "flytescheduler", DATACATALOG, "pyflyte"];
    let mut words = command.split('"').skip(1).step_by(2).filter_map(|word| word.rsplit('/').next());
    words.any(|word| PROGRAMS.contains(&word))
}

/// The images that Flyte publishes, `flyteorg/flyteadmin` or `flyteorg/flyteadmin-release` in its registries.
#[cfg(feature = "pod-users")]
const IMAGES: [&str; 6] = [FLYTEADMIN, "flytescheduler", "flytepropeller", DATACATALOG, FLYTECONSOLE, FLYTE_BINARY];

/// Returns the user that Flyte's charts run one of Flyte's images as, and the Helm value that this needs, if any.
#[cfg(feature = "pod-users")]
pub fn user_of(image: &Repository) -> Option<(u32, Option<&'static str>)> {
    let name = image.name().strip_suffix("-release").unwrap_or(image.name());
    let name = if name == FLYTE_2_IMAGE { FLYTE_BINARY } else { name };
    let users = USERS.iter().find(|users| users.components.contains(&name))?;
    let value = (name == FLYTE_BINARY).then_some("deployment.podSecurityContext.enabled: true");
    (image.owner() == Some("flyteorg") && IMAGES.contains(&name)).then_some((users.user, value))
}

/// The init container of flyteadmin and of datacatalog that waits for the database with `pg_isready`. The "Security
/// Overview": "Only the check-db-ready container is run using the root user, which we will also plan to fix." Gone
/// from the helm charts since v1.0.0.
pub const CHECK_DB_READY: &str = "check-db-ready";
/// The repositories of `check-db-ready`'s image, over the releases that have it (v0.1 to v0.19).
pub const CHECK_DB_READY_IMAGES: [&str; 2] = ["postgres", "ecr.flyte.org/ubuntu/postgres"];
/// The Secrets that hold the certificate of its Ingresses, with `*` for any characters.
pub const TLS_SECRETS: [&str; 3] = ["*-flyte-tls", "flyte-tls", "flyte-secret-tls"];
