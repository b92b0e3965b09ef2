//! Where a container's `ADMIN_API_URL` comes from, as Kubernetes decides it.
//!
//! `env` comes before `envFrom`, and in both what stands later comes before what stands earlier. Source: `makeEnvironmentVariables`
//! of [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes) v1.35, `pkg/kubelet/kubelet_pods.go`.

use std::collections::BTreeMap;

use super::{
    after::{After, read, title},
    settings::Settings,
};
use crate::{
    cluster::Listed,
    flyte,
    text::Text,
    verdict::{Shortened, Unjudged},
    view::view,
    workload::Placed,
};

view! {
    struct Variable<'a> {
        "name" => name: Text<'a>,
        "value" => value: Text<'a>,
        "valueFrom" => value_from: ValueFrom<'a>,
    }

    struct ValueFrom<'a> {
        "configMapKeyRef" => config_map: Key<'a>,
    }

    struct Key<'a> {
        "name" => name: Text<'a>,
        "key" => key: Text<'a>,
        "optional" => optional: bool,
    }

    struct Source<'a> {
        "prefix" => prefix: Text<'a>,
        "configMapRef" => config_map: Reference<'a>,
        "secretRef" => secret: Reference<'a>,
    }

    struct Reference<'a> {
        "name" => name: Text<'a>,
        "optional" => optional: bool,
    }
}

/// What the variable is.
pub(super) struct Said {
    pub(super) text: String,
    /// Where the container says it, or what it takes it from, e.g. `spec.containers[0].env[1]`.
    pub(super) path: String,
    /// The ConfigMap whose `ADMIN_API_URL` it is.
    pub(super) source: Option<String>,
}

/// Why it is not known what the variable is.
pub(super) struct Unknown {
    pub(super) path: String,
    pub(super) reason: String,
}

/// What a container's variable is; `None` where it is not set, or empty, which is the same to flyteconsole.
///
/// Without the check of the pair no other object is looked at, and what `envFrom` brings is left to itself.
///
/// # Errors
///
/// The container's lists have other types than Kubernetes gives them.
pub(super) fn said(
    placed: &Placed,
    namespace: &str,
    after: &After,
    settings: &Settings,
) -> Result<Result<Option<Said>, Unknown>, Unjudged> {
    let variables: Vec<Variable> = placed.list("env", placed.container.env)?;
    let is_wanted = |(_, variable): &(usize, &Variable)| variable.name.as_deref() == Some(flyte::ADMIN_API_URL);
    if let Some((index, variable)) = variables.iter().enumerate().rfind(is_wanted) {
        let path = format!("{}.env[{index}]", placed.path());
        return Ok(of_variable(variable, path, namespace, after, settings));
    }
    if !settings.cross_checks() {
        return Ok(Ok(None));
    }
    let sources: Vec<Source> = placed.list("envFrom", placed.container.env_from)?;
    for (index, Source { prefix, config_map, secret, .. }) in sources.iter().enumerate().rev() {
        let Some(key) = flyte::ADMIN_API_URL.strip_prefix(prefix.as_deref().unwrap_or_default()) else {
            continue;
        };
        let path = format!("{}.envFrom[{index}]", placed.path());
        if let Some(Reference { name, optional, .. }) = config_map {
            let name = name.as_deref().unwrap_or_default();
            match value(name, key, namespace, after) {
                Ok(Looked::Up(text)) => return Ok(Ok(set(text, path, name, key))),
                Ok(Looked::NoKey) => {}
                Ok(Looked::NoConfigMap) if *optional == Some(true) => {}
                Ok(Looked::NoConfigMap) => return Ok(Err(Unknown { path, reason: not_there(namespace, name) })),
                Err(reason) => return Ok(Err(Unknown { path, reason })),
            }
        } else if secret.is_some() {
            let reason = "a Secret may hold ADMIN_API_URL, and is not looked at".to_owned();
            return Ok(Err(Unknown { path, reason }));
        }
    }
    Ok(Ok(None))
}

fn of_variable(
    variable: &Variable,
    path: String,
    namespace: &str,
    after: &After,
    settings: &Settings,
) -> Result<Option<Said>, Unknown> {
    let text = variable.value.as_deref().unwrap_or_default();
    let Some(from) = &variable.value_from else {
        if text.contains("$(") {
            return Err(Unknown { path, reason: "it refers to another variable".to_owned() });
        }
        return Ok((!text.is_empty()).then(|| Said { text: text.to_owned(), path, source: None }));
    };
    let Some(Key { name, key, optional, .. }) = from.config_map.as_ref().filter(|_| settings.cross_checks()) else {
        return Err(Unknown { path, reason: "what valueFrom brings is not looked at".to_owned() });
    };
    let (name, key) = (name.as_deref().unwrap_or_default(), key.as_deref().unwrap_or_default());
    match value(name, key, namespace, after) {
        Ok(Looked::Up(text)) => Ok(set(text, path, name, key)),
        Ok(_) if *optional == Some(true) => Ok(None),
        Ok(Looked::NoConfigMap) => Err(Unknown { path, reason: not_there(namespace, name) }),
        Ok(Looked::NoKey) => {
            let title = title(Listed::ConfigMap, namespace, name);
            Err(Unknown { path, reason: format!("{title} has no {}", Shortened(key)) })
        }
        Err(reason) => Err(Unknown { path, reason }),
    }
}

fn set(text: String, path: String, config_map: &str, key: &str) -> Option<Said> {
    let source = (key == flyte::ADMIN_API_URL).then(|| config_map.to_owned());
    (!text.is_empty()).then_some(Said { text, path, source })
}

fn not_there(namespace: &str, config_map: &str) -> String {
    format!(
        "{}, which flyteconsole takes variables from, is not there",
        title(Listed::ConfigMap, namespace, config_map)
    )
}

/// What a ConfigMap has under a key.
enum Looked {
    Up(String),
    NoKey,
    NoConfigMap,
}

view! {
    struct ConfigMap<'a> {
        "data" => data: BTreeMap<Text<'a>, Option<Text<'a>>>,
    }
}

fn value(config_map: &str, key: &str, namespace: &str, after: &After) -> Result<Looked, String> {
    let found = after.find(Listed::ConfigMap, Some(namespace), |found| {
        if found.name != config_map {
            return Ok(None);
        }
        let data = read::<ConfigMap>(Listed::ConfigMap, found.object)?.data;
        let text = data.as_ref().and_then(|data| data.get(key));
        let text = text.map(|text| text.as_deref().unwrap_or_default().to_owned());
        Ok(Some(text.map_or(Looked::NoKey, Looked::Up)))
    })?;
    Ok(found.unwrap_or(Looked::NoConfigMap))
}
