//! A container's environment, and `$(VAR)` in it and in the command line, as the kubelet expands it.
//!
//! Source, of [kubernetes/kubernetes](https://github.com/kubernetes/kubernetes) v1.35: `third_party/forked/golang/expansion/expand.go`,
//! and `makeEnvironmentVariables` of `pkg/kubelet/kubelet_pods.go`.

use std::{borrow::Cow, cell::Cell};

use serde_json::value::RawValue;

use crate::{text::Text, verdict::Unjudged, view::view, workload::Placed};

view! {
    struct Entry<'a> {
        "name" => name: Text<'a>,
        "value" => value: Text<'a>,
        "valueFrom" => value_from: &'a RawValue,
    }

    struct Source<'a> {
        "prefix" => prefix: Text<'a>,
    }
}

/// A text that may be known only in part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// The text, or its part before the first unknown one.
    pub(crate) text: Cow<'a, str>,
    /// Whether the text is complete.
    pub(crate) is_known: bool,
}

impl<'a> Value<'a> {
    pub(crate) fn known(text: impl Into<Cow<'a, str>>) -> Self {
        Self { text: text.into(), is_known: true }
    }

    /// Returns the value without its first `bytes` bytes.
    pub(super) fn behind(&self, bytes: usize) -> Self {
        let text = self.text.get(bytes..).unwrap_or_default().to_owned();
        Self { text: text.into(), is_known: self.is_known }
    }
}

/// An entry of `env`.
#[derive(Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Value<'a>,
    /// Whether the value comes from `valueFrom`.
    pub(crate) is_from_elsewhere: bool,
}

/// The environment that Kubernetes gives a container, as far as the object shows it.
#[derive(Debug)]
pub(crate) struct Environment<'a> {
    /// The entries of `env`, each expanded from those before it.
    pub(crate) variables: Vec<Variable<'a>>,
    /// The prefixes of the variables from `envFrom`.
    prefixes: Vec<Text<'a>>,
    work_left: Cell<usize>,
}

/// The most steps and bytes for expanding a container's variables. Without a limit, a few variables that refer to each
/// other twice would grow without bound. The kernel gives a program 2 MiB at most.
const MOST_WORK: usize = 1 << 20;

impl<'a> Environment<'a> {
    /// Reads the environment of a container.
    ///
    /// # Errors
    ///
    /// One of its lists has the wrong type.
    pub(crate) fn from_container(placed: &Placed<'_, 'a>) -> Result<Self, Unjudged> {
        let entries: Vec<Entry> = placed.list("env", placed.container.env)?;
        let sources: Vec<Source> = placed.list("envFrom", placed.container.env_from)?;
        let prefixes = sources.into_iter().map(|source| source.prefix.unwrap_or(Text::constant(""))).collect();
        let mut environment = Self { variables: Vec::new(), prefixes, work_left: Cell::new(MOST_WORK) };
        for Entry { name, value, value_from, .. } in entries {
            let value = match value_from {
                Some(_) => Value::default(),
                None => environment.expand(value.map(Cow::from).unwrap_or_default()),
            };
            let name = name.map(Cow::from).unwrap_or_default();
            environment.variables.push(Variable { name, value, is_from_elsewhere: value_from.is_some() });
        }
        Ok(environment)
    }

    /// Creates an environment from variables. A variable without a value gets it from elsewhere.
    #[cfg(test)]
    pub(super) fn from_variables(variables: &[(&'a str, Option<&'a str>)]) -> Self {
        let variables = variables.iter().map(|(name, value)| Variable {
            name: Cow::Borrowed(name),
            value: value.map_or_else(Value::default, Value::known),
            is_from_elsewhere: value.is_none(),
        });
        Self { variables: variables.collect(), prefixes: Vec::new(), work_left: Cell::new(MOST_WORK) }
    }

    /// Whether this many more steps are allowed. Counts them.
    pub(super) fn allows(&self, steps: usize) -> bool {
        let left = self.work_left.get().checked_sub(steps);
        self.work_left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// The value of the last variable with that name; `None` if nothing in the object can define it.
    pub(super) fn look_up(&self, name: &str) -> Option<Value<'_>> {
        if !self.allows(1 + self.variables.len() + self.prefixes.len()) {
            return Some(Value::default());
        }
        if let Some(Variable { value, .. }) = self.variables.iter().rev().find(|variable| variable.name == name) {
            let value = Value { text: Cow::Borrowed(&*value.text), is_known: value.is_known };
            return Some(if self.allows(value.text.len()) { value } else { Value::default() });
        }
        // The kubelet sets these variables for the namespace's Services, and for the Service `kubernetes` even with
        // `enableServiceLinks` off.
        let is_of_service = name.contains("_SERVICE_HOST") || name.contains("_PORT");
        let is_elsewhere = is_of_service || self.prefixes.iter().any(|prefix| name.starts_with(&**prefix));
        is_elsewhere.then(Value::default)
    }

    /// Expands `$(VAR)` in a text: `$$` becomes one `$`, and a reference that nothing defines stays as it is.
    pub(super) fn expand(&self, text: Cow<'a, str>) -> Value<'a> {
        if !text.contains('$') {
            return Value::known(text);
        }
        let mut expanded = String::new();
        let mut rest = &*text;
        while let Some((before, behind)) = rest.split_once('$') {
            expanded.push_str(before);
            rest = behind;
            if let Some((name, behind)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
                rest = behind;
                match self.look_up(name) {
                    Some(value) => {
                        expanded.push_str(&value.text);
                        if !value.is_known {
                            return Value { text: expanded.into(), is_known: false };
                        }
                    }
                    None => expanded.extend(["$(", name, ")"]),
                }
            } else {
                expanded.push('$');
                rest = rest.strip_prefix('$').unwrap_or(rest);
            }
        }
        expanded.push_str(rest);
        Value::known(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_expanded_as_the_kubelet_does() {
        let environment = Environment::from_variables(&[
            ("A", Some("first")),
            ("A", Some("a")),
            ("EMPTY", Some("")),
            ("UNKNOWN", None),
            ("A.B", Some("dotted")),
            ("REFERENCE", Some("$(A)")),
        ]);
        let environment = Environment { prefixes: vec![Text::constant("FROM_")], ..environment };
        for (text, expanded, is_known) in [
            ("plain", "plain", true),
            ("$(A)", "a", true),
            ("x$(A)y$(A)", "xaya", true),
            ("$(A.B)", "dotted", true),
            ("[$(EMPTY)]", "[]", true),
            ("$(REFERENCE)", "$(A)", true),
            ("$$(A)", "$(A)", true),
            ("$$$(A)", "$a", true),
            ("$$$$(A)", "$$(A)", true),
            ("$(B)", "$(B)", true),
            ("$()", "$()", true),
            ("$A ${A} $", "$A ${A} $", true),
            ("$(A", "$(A", true),
            ("$(A$$", "$(A$", true),
            ("$(A$(A)", "$(A$(A)", true),
            ("x$(UNKNOWN)y", "x", false),
            ("x$(FROM_A)", "x", false),
            ("x$(FLYTEADMIN_SERVICE_HOST)", "x", false),
            ("x$(FLYTEADMIN_PORT_80_TCP)", "x", false),
        ] {
            assert_eq!(environment.expand(text.into()), Value { text: expanded.into(), is_known }, "{text}");
        }
    }

    #[test]
    fn variables_that_refer_to_each_other_twice_do_not_grow_without_bound() {
        let mut environment = Environment::from_variables(&[]);
        for index in 0..64 {
            let text = format!("x$(V{0})$(V{0})", index - 1);
            let value = environment.expand(text.into());
            let name = format!("V{index}").into();
            environment.variables.push(Variable { name, value, is_from_elsewhere: false });
        }
        let total: usize = environment.variables.iter().map(|variable| variable.value.text.len()).sum();
        assert!(total < 2 * MOST_WORK, "{total}");
        assert!(!environment.variables[63].value.is_known);
    }
}
