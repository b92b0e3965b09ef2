//! flyteconsole's container and ConfigMap.

use crate::{admin_config::config_map, flyte, image::Repository, workload::Placed};

/// Whether the container runs flyteconsole: by its name in Flyte's charts, or by its image.
pub(super) fn is_flyteconsole(placed: &Placed) -> bool {
    let has_image = || {
        Repository::parse(placed.container.image()).is_some_and(|image| {
            let name = image.name();
            name.strip_suffix("-release").unwrap_or(name) == flyte::FLYTECONSOLE
        })
    };
    placed.runs_on() && (placed.container.name() == flyte::FLYTECONSOLE || has_image())
}

/// Whether Flyte's charts give flyteconsole a ConfigMap of that name.
pub(super) fn is_consoles(config_map: &str) -> bool {
    config_map::without_hash(config_map) == flyte::CONSOLE_CONFIG_MAP
}
