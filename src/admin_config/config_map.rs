//! The ConfigMaps that hold flyteadmin's files.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::{Resource, api::core::v1};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess},
};
use serde_json::value::RawValue;

use super::files::File;
use crate::{
    admission::{self, AdmissionRequest, Kind},
    base64, flyte, location,
    members::Members,
    text::Text,
    verdict::{Shortened, Unjudged},
    view::view,
    workload::Metadata,
};

/// The Deployment that reads a ConfigMap of that name in Flyte's own charts and kustomizations; `None` if the name is not
/// one of theirs.
pub(crate) fn deployment(config_map: &str) -> Option<&str> {
    let name = without_hash(config_map);
    match name.strip_suffix("-config") {
        Some(release) if release.contains(flyte::FLYTE_BINARY) => Some(release),
        Some("flyte-sandbox") => Some("flyte-sandbox"),
        _ => flyte::ADMIN_CONFIG_MAPS.contains(&name).then_some(flyte::FLYTEADMIN),
    }
}

/// The name of a ConfigMap without the hash that kustomize appends.
pub(crate) fn without_hash(name: &str) -> &str {
    let is_hash = |hash: &str| hash.len() == 10 && hash.bytes().all(|byte| KUSTOMIZE_DIGITS.contains(&byte));
    name.rsplit_once('-').filter(|(_, hash)| is_hash(hash)).map_or(name, |(name, _)| name)
}

/// The digits of the hash that kustomize appends to a name. Source: `encode` of
/// [kubernetes-sigs/kustomize](https://github.com/kubernetes-sigs/kustomize), `api/hasher/hasher.go`.
const KUSTOMIZE_DIGITS: &[u8] = b"2456789bcdfghkmt";

/// Whether objects of this kind are ConfigMaps.
pub(crate) fn is_kind(kind: &Kind) -> bool {
    kind.group() == v1::ConfigMap::GROUP && kind.name() == v1::ConfigMap::KIND
}

/// The ConfigMap in a request.
pub(crate) struct Requested<'a> {
    pub(crate) name: Text<'a>,
    /// The whole ConfigMap.
    pub(crate) object: &'a RawValue,
    /// Whether flyteadmin might read one of its entries. This depends on the entry's name or, if that is not a file's
    /// name, on the entry's text.
    pub(crate) may_have_files: bool,
    /// Whether its label names Flyte 2's chart.
    pub(crate) is_of_flyte_two: bool,
    /// Whether it has entries in base64.
    #[cfg(feature = "flyte2-exposure")]
    has_bytes: bool,
}

impl Requested<'_> {
    /// Returns whether the ConfigMap belongs to Flyte 2, which has no flyteadmin. It does if it has the label of Flyte
    /// 2's chart or a section `runs`, and no section of Flyte 1. `files` are the ConfigMap's own.
    pub(crate) fn is_flyte_two(&self, files: &[File]) -> bool {
        let mut lines = files.iter().flat_map(|file| file.text.split(|byte| *byte == b'\n'));
        let is_ones =
            |line: &[u8]| [&b"server:"[..], b"propeller:", b"flyteadmin:"].iter().any(|key| line.starts_with(key));
        let has_ones = lines.clone().any(is_ones);
        !has_ones && (self.is_of_flyte_two || lines.any(|line| line.starts_with(b"runs:")))
    }

    /// Returns whether [`Self::is_flyte_two`] may be true. Reads no files: another application's ConfigMap may be a
    /// megabyte.
    #[cfg(feature = "flyte2-exposure")]
    pub(crate) fn may_be_flyte_two(&self) -> bool {
        self.is_of_flyte_two || self.has_bytes || self.object.get().contains("runs:")
    }
}

/// Reads the ConfigMap of a request. A ConfigMap that is being deleted counts too: while a finalizer keeps it, it can
/// be used and changed.
///
/// # Errors
///
/// There is no object, or its metadata or its maps have the wrong type.
pub(crate) fn read_config_map<'a>(request: &AdmissionRequest<'a>) -> Result<Requested<'a>, Unjudged> {
    let object = request.object()?;
    // Read in one pass: it may be a megabyte.
    let Object { metadata, data, binary_data, .. } = admission::read_fields(object)?;
    let metadata = metadata.unwrap_or_default();
    let is_of_flyte_two = metadata.label_named(flyte::CHART_LABEL).is_some_and(flyte::is_chart_of_flyte_two);
    #[cfg(feature = "flyte2-exposure")]
    let has_bytes = binary_data.is_some();
    let may_have_files = [data, binary_data].into_iter().flatten().any(|MayBeFiles(may_be)| may_be);
    Ok(Requested {
        name: metadata.name.unwrap_or(Text::constant("")),
        object,
        may_have_files,
        is_of_flyte_two,
        #[cfg(feature = "flyte2-exposure")]
        has_bytes,
    })
}

view! {
    struct Object<'a> {
        "metadata" => metadata: Metadata<'a>,
        "data" => data: MayBeFiles,
        "binaryData" => binary_data: MayBeFiles,
    }

    struct ConfigMap<'a> {
        "data" => data: Members<'a, &'a RawValue>,
        "binaryData" => binary_data: Members<'a, &'a RawValue>,
    }
}

/// The files of a ConfigMap that flyteadmin reads, in the order it reads them.
///
/// # Errors
///
/// An entry is not a text, or not base64.
pub(crate) fn files<'a>(object: &'a RawValue) -> Result<Vec<File<'a>>, Unjudged> {
    let mut files = BTreeMap::new();
    add_files(object, "", &|key| key.ends_with(".yaml").then(|| key.to_owned()), &mut files)?;
    Ok(files.into_values().collect())
}

/// Adds a ConfigMap's files, by their names, to `files`, which may hold files of other ConfigMaps that are mounted with
/// it. `file` turns a key into a name, and `owner` is put before the path of each file.
///
/// # Errors
///
/// The same as for [`files`].
pub(crate) fn add_files<'a>(
    object: &'a RawValue,
    owner: &str,
    file: &dyn Fn(&str) -> Option<String>,
    files: &mut BTreeMap<String, File<'a>>,
) -> Result<(), Unjudged> {
    let ConfigMap { data, binary_data, .. } = admission::read_fields(object)?;
    for (field, entries) in [("data", data), ("binaryData", binary_data)] {
        for (key, text) in entries.map(|entries| entries.0).unwrap_or_default() {
            let Some(name) = file(&key) else { continue };
            let path = format!("{owner}{}", location::key(field, &Shortened(&key).to_string()));
            let unreadable = |reason: String| Unjudged { path: path.clone(), reason };
            let text: Option<Text> = admission::read_fields(text).map_err(|error| unreadable(error.reason))?;
            let text = text.map_or(Cow::Borrowed(&b""[..]), Text::into_bytes);
            let text = match field {
                "data" => text,
                _ => Cow::Owned(base64::decode(&text).map_err(unreadable)?),
            };
            files.insert(name, File { path, text });
        }
    }
    Ok(())
}

/// The maximum size, in bytes, of an entry that is searched although it does not have the name of a flyteadmin file.
const MOST_OF_ANOTHER_NAME: usize = 20_000;

/// Whether flyteadmin might read at least one entry of a map.
#[derive(Debug)]
struct MayBeFiles(bool);

impl<'de> Deserialize<'de> for MayBeFiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = MayBeFiles;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MayBeFiles, A::Error> {
                let mut may_be = false;
                while let Some(key) = map.next_key::<Text>()? {
                    let text = map.next_value::<&RawValue>()?.get();
                    may_be = may_be
                        || key.ends_with(".yaml")
                        || text.len() < MOST_OF_ANOTHER_NAME && text.contains("server");
                }
                Ok(MayBeFiles(may_be))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::{deployment, files};

    #[test]
    fn the_config_maps_are_those_of_flytes_charts() {
        for (name, expected) in [
            ("flyte-admin-config", "flyteadmin"),
            ("flyte-admin-base-config", "flyteadmin"),
            ("flyte-admin-config-64k8dg9gck", "flyteadmin"),
            ("flyte-admin-base-config-7gmg5ffhdd", "flyteadmin"),
            ("flyte-binary-config", "flyte-binary"),
            ("flyte-binary-prod-config", "flyte-binary-prod"),
            ("my-release-flyte-binary-config", "my-release-flyte-binary"),
            ("flyte-binary-config-7gmg5ffhdd", "flyte-binary"),
            ("flyte-sandbox-config", "flyte-sandbox"),
        ] {
            assert_eq!(Some(expected), deployment(name), "{name}");
        }
        for name in [
            "",
            "flyte-admin-clusters-config-base",
            "flyte-admin-config-production",
            "flyte-admin-config-64k8dg9gckk",
            "datacatalog-config",
            "flyte-flyte-binary-cluster-resource-templates",
            "flyte-sandbox-proxy-config",
        ] {
            assert_eq!(None, deployment(name), "{name}");
        }
    }

    #[test]
    fn files_are_the_yaml_entries_in_the_order_of_their_names() {
        let object = r#"{"data": {"b.yaml": "b", "a.yml": "no", "100.yaml": null}, "binaryData": {"a.yaml": "aGk="}}"#;
        let object = serde_json::from_str(object).unwrap();
        let files: Vec<_> =
            files(object).unwrap().into_iter().map(|file| (file.path, file.text.into_owned())).collect();
        let expected =
            [("data[\"100.yaml\"]", &b""[..]), ("binaryData[\"a.yaml\"]", b"hi"), ("data[\"b.yaml\"]", b"b")];
        assert_eq!(expected.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec(), files);
    }

    #[test]
    fn an_entry_that_is_not_a_text_is_reported_with_its_path() {
        let object = serde_json::from_str(r#"{"data": {"a.yaml": 5}}"#).unwrap();
        assert_eq!("data[\"a.yaml\"]", files(object).err().unwrap().path);
    }
}
