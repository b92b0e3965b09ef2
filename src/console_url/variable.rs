//! Finds where a container's `ADMIN_API_URL` comes from, by the rules of Kubernetes.
//!
//! `env` overrides `envFrom`, and in both a later entry overrides an earlier one; `$(VAR)` is expanded if the object's own
//! `env` defines it. Source: `makeEnvironmentVariables` of
//! [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes) v1.35, `pkg/kubelet/kubelet_pods.go`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{console::is_consoles, settings::Settings};
use crate::{
    argv::{self, Environment},
    flyte,
    host::Listed,
    installation::{objects::title, others::Others},
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

    struct EnvFrom<'a> {
        "prefix" => prefix: Text<'a>,
        "configMapRef" => config_map: Reference<'a>,
        "secretRef" => secret: Reference<'a>,
    }

    struct Reference<'a> {
        "name" => name: Text<'a>,
        "optional" => optional: bool,
    }
}

/// The variable's value.
pub(super) struct Said {
    pub(super) text: String,
    /// The entry of the container that sets it, e.g. `spec.containers[0].env[1]`.
    pub(super) path: String,
    pub(super) source: Option<Source>,
    /// Whether it is expanded from other variables, so that no automatic edit can replace it.
    pub(super) is_expanded: bool,
}

/// The ConfigMap that a variable comes from, and the key there.
pub(super) struct Source {
    pub(super) config_map: String,
    pub(super) key: String,
}

/// Why the variable's value is not known.
pub(super) struct Unknown {
    pub(super) path: String,
    pub(super) reason: String,
}

/// The value of a container's variable; `None` if it is not set or empty, which is the same to flyteconsole.
///
/// # Errors
///
/// A list of the container has the wrong type.
pub(super) fn value_of(
    placed: &Placed,
    namespace: &str,
    others: &Others,
    settings: &Settings,
) -> Result<Result<Option<Said>, Unknown>, Unjudged> {
    let variables: Vec<Variable> = placed.list("env", placed.container.env)?;
    let sources: Vec<EnvFrom> = placed.list("envFrom", placed.container.env_from)?;
    let environment = Environment::from_container(placed)?;
    let of_variables =
        variables.iter().zip(&environment.variables).enumerate().rev().map(|(index, (variable, said))| {
            (format!("env[{index}]"), of_variable(variable, &said.value, namespace, others, settings))
        });
    let of_sources = sources
        .iter()
        .enumerate()
        .rev()
        .map(|(index, source)| (format!("envFrom[{index}]"), of_source(source, namespace, others, settings)));
    for (path, value) in of_variables.chain(of_sources) {
        let path = format!("{}.{path}", placed.path());
        match value {
            Ok(None) => {}
            Ok(Some(Value { text, .. })) if text.is_empty() => break,
            Ok(Some(Value { text, source, is_expanded })) => {
                return Ok(Ok(Some(Said { text, path, source, is_expanded })));
            }
            Err(reason) => return Ok(Err(Unknown { path, reason })),
        }
    }
    Ok(Ok(None))
}

/// Returns `command` or `args`, if it may set or unset the variable. Its words are not interpreted.
pub(super) fn overridden(placed: &Placed) -> Option<&'static str> {
    let lists = [("command", placed.container.command), ("args", placed.container.args)];
    let text = lists.map(|(_, words)| words.map_or("", RawValue::get)).concat();
    let takes_away = ["unset", "-u", "read"].iter().any(|word| text.contains(word));
    let sets = |words: &str| {
        words.match_indices(flyte::ADMIN_API_URL).any(|(at, name)| {
            let is_reference = words[..at].ends_with(['$', '{', '(']);
            words[at + name.len()..].starts_with('=') || takes_away && !is_reference
        })
    };
    lists.iter().find(|(_, words)| words.is_some_and(|words| sets(words.get()))).map(|(list, _)| *list)
}

/// Whether a container takes its variable, or may take it, from a ConfigMap.
///
/// # Errors
///
/// The same as for [`value_of`].
pub(super) fn takes_from(placed: &Placed, config_map: &str) -> Result<bool, Unjudged> {
    let variables: Vec<Variable> = placed.list("env", placed.container.env)?;
    let sources: Vec<EnvFrom> = placed.list("envFrom", placed.container.env_from)?;
    let keys =
        variables.iter().filter_map(|variable| variable.value_from.as_ref()?.config_map.as_ref()?.name.as_deref());
    let references = sources.iter().filter_map(|source| source.config_map.as_ref()?.name.as_deref());
    Ok(keys.chain(references).any(|name| name == config_map))
}

/// A value of the variable, and its source.
struct Value {
    text: String,
    source: Option<Source>,
    is_expanded: bool,
}

/// The value that an entry of `env` gives the variable, if any.
fn of_variable(
    variable: &Variable,
    said: &argv::Value,
    namespace: &str,
    others: &Others,
    settings: &Settings,
) -> Result<Option<Value>, String> {
    if variable.name.as_deref() != Some(flyte::ADMIN_API_URL) {
        return Ok(None);
    }
    let Some(from) = &variable.value_from else {
        if !said.is_known {
            return Err("it refers to another variable".to_owned());
        }
        let is_expanded = variable.value.as_deref().unwrap_or_default() != said.text;
        return Ok(Some(Value { text: said.text.clone().into_owned(), source: None, is_expanded }));
    };
    let Some(Key { name, key, optional, .. }) = from.config_map.as_ref().filter(|_| settings.cross_checks()) else {
        return Err("this policy cannot read the valueFrom of ADMIN_API_URL".to_owned());
    };
    let (name, key) = (name.as_deref().unwrap_or_default(), key.as_deref().unwrap_or_default());
    match value(name, key, namespace, others)? {
        Looked::Up(value) => Ok(Some(value)),
        // An earlier entry counts then, or `envFrom`.
        _ if *optional == Some(true) => Ok(None),
        Looked::NoConfigMap => Err(not_there(namespace, name)),
        Looked::NoKey => Err(format!("{} has no key {}", title(Listed::ConfigMap, namespace, name), Shortened(key))),
    }
}

/// The value that an entry of `envFrom` gives the variable, if any.
fn of_source(
    EnvFrom { prefix, config_map, secret, .. }: &EnvFrom,
    namespace: &str,
    others: &Others,
    settings: &Settings,
) -> Result<Option<Value>, String> {
    let Some(key) = flyte::ADMIN_API_URL.strip_prefix(prefix.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let Some(Reference { name, optional, .. }) = config_map else {
        let secret = secret.as_ref().map(|_| {
            "a Secret may set the variable, and this policy does not read \
                                              Secrets"
                .to_owned()
        });
        return secret.map_or(Ok(None), Err);
    };
    let name = name.as_deref().unwrap_or_default();
    if !settings.cross_checks() {
        // The console's own ConfigMap is checked by itself.
        return if is_consoles(name) {
            Ok(None)
        } else {
            Err("with crossCheck: false, this policy does not read envFrom".to_owned())
        };
    }
    match value(name, key, namespace, others)? {
        Looked::Up(value) => Ok(Some(value)),
        Looked::NoKey => Ok(None),
        Looked::NoConfigMap if *optional == Some(true) => Ok(None),
        Looked::NoConfigMap => Err(not_there(namespace, name)),
    }
}

fn not_there(namespace: &str, config_map: &str) -> String {
    format!(
        "{}, which flyteconsole takes variables from, was not found",
        title(Listed::ConfigMap, namespace, config_map)
    )
}

/// The result of looking up a key in a ConfigMap.
enum Looked {
    Up(Value),
    NoKey,
    NoConfigMap,
}

view! {
    struct ConfigMap<'a> {
        "data" => data: BTreeMap<Text<'a>, Option<Text<'a>>>,
    }
}

fn value(config_map: &str, key: &str, namespace: &str, others: &Others) -> Result<Looked, String> {
    let found = others.find(Listed::ConfigMap, Some(namespace), |found| {
        if found.name != config_map {
            return Ok(None);
        }
        let data = found.read_fields::<ConfigMap>(Listed::ConfigMap)?.data;
        let source = Some(Source { config_map: config_map.to_owned(), key: key.to_owned() });
        let value = data.as_ref().and_then(|data| data.get(key));
        let value = value.map(|text| Value {
            text: text.as_deref().unwrap_or_default().to_owned(),
            source,
            is_expanded: false,
        });
        Ok(Some(value.map_or(Looked::NoKey, Looked::Up)))
    })?;
    Ok(found.unwrap_or(Looked::NoConfigMap))
}
