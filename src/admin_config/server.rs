//! Finds the container that runs flyteadmin's server: by its command line, and by its image or its name in Flyte's
//! charts.
//!
//! `serve` alone proves nothing, since datacatalog serves too. Nor does the image: syncresources and the init containers run
//! other commands of flyteadmin. Flyte 2 uses the same names for containers, Deployments and ConfigMaps but has no flyteadmin:
//! its image differs, and its binary has no command `start`.
//!
//! Source: `charts/flyte-core` and `charts/flyte-binary` of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8 and
//! v2.0.43.

use serde_json::value::RawValue;

use crate::{argv::CommandLine, flyte, image::Repository, verdict::Unjudged, workload::Placed};

/// The server that a container runs.
pub(crate) enum Server<'a> {
    /// flyteadmin, or the binary that holds all of Flyte 1, with this command line.
    Admin(CommandLine<'a>),
    /// The binary of Flyte 2.
    FlyteTwo,
}

impl<'a> Server<'a> {
    /// The server of a container that runs as long as its pod; `None` if it runs something else.
    ///
    /// # Errors
    ///
    /// Its command line has the wrong type.
    pub(crate) fn from_container(placed: &Placed<'_, 'a>) -> Result<Option<Self>, Unjudged> {
        if !placed.runs_on() {
            return Ok(None);
        }
        let container = placed.container;
        let image = Repository::parse(container.image()).map_or("", |repository| repository.name());
        let says =
            |word: &str| [container.command, container.args].iter().flatten().any(|list| list.get().contains(word));
        // Flyte 2's binary ignores any words, so a `start` that is left over from Flyte 1 changes nothing. If the image
        // has a tag of Flyte 1, however, it is Flyte 1 under a custom name.
        let is_one = || says("\"start\"") && [":1.", ":v1."].iter().any(|tag| container.image().contains(tag));
        let is_named_two =
            image.strip_prefix(flyte::FLYTE_2_IMAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if is_named_two && !is_one() {
            return Ok(Some(Self::FlyteTwo));
        }
        let is_known = is_named(placed) || flyte::ADMIN_IMAGES.contains(&image);
        let may_be = || says("flyte") && flyte::ADMIN_COMMANDS.iter().any(|command| says(command));
        if !is_known && !may_be() {
            return Ok(None);
        }
        let line = CommandLine::from_container(placed)?;
        // Flyte 2 has no image `flyteadmin`, and a custom image may serve without a command.
        let may_be_two = image != "flyteadmin" && container.command.is_none_or(is_empty);
        if may_be_two && !line.run.serves() && line.run.has_config_and_no_command() {
            return Ok(Some(Self::FlyteTwo));
        }
        Ok((is_known || line.run.is_flyteadmins()).then_some(Self::Admin(line)))
    }
}

/// Whether an unparsed list is empty.
pub(super) fn is_empty(list: &RawValue) -> bool {
    matches!(list.get(), "null" | "[]")
}

/// Whether the container has a name that Flyte's charts give to flyteadmin's container.
pub(crate) fn is_named(placed: &Placed) -> bool {
    flyte::ADMIN_CONTAINERS.contains(&placed.container.name())
}
