//! The subcommands, and the setup that several of them share.

pub mod check;
#[cfg_attr(not(feature = "cluster"), path = "without_cluster.rs")]
pub mod cluster;
pub mod config;
pub mod fix;
#[cfg_attr(not(feature = "modules"), path = "without_modules.rs")]
pub mod modules;

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use clap::{CommandFactory, Parser};
use flytewarden::{decision, oauth_tls::LINKED};
use flytewarden_cli::{
    arguments::{ALL, Arguments, Command, Scope},
    config::{Config, Unusable, problem},
    explain,
    files::{MOST_OF_SETTINGS, read_file_text},
};
use flytewarden_formats::text::{self, without_user};
use flytewarden_offline::{
    check::{Check, Policy},
    ignored::{Baseline, Omissions},
    images::Images,
    linked,
    report::{GivenSettings, Namespaces, contains},
    settings::{Settings, WrongSettings},
};
use serde::Serialize;

/// The exit code if violations were found.
pub const VIOLATIONS: u8 = 1;
/// The exit code if something could not be checked.
pub const UNJUDGED: u8 = 2;

/// Adds the options of the configuration file to the command line.
pub fn configured(line: &[OsString], scope: &Scope) -> Result<(Command, Option<Config>), Box<dyn Error>> {
    let command = Arguments::command();
    let check = command.find_subcommand("check").ok_or("there is no check")?;
    let config = Config::find(scope.config.as_deref(), check)?;
    let line = match &config {
        None => line.to_vec(),
        Some(config) => config.added_to(line, &command).map_err(|error| problem(&error))?,
    };
    let arguments = Arguments::try_parse_from(line).map_err(|error| problem(&error))?;
    Ok((arguments.command, config))
}

/// The policies and all options, with every file of options read.
pub struct Setup {
    /// The policies to run.
    pub policies: Vec<Box<dyn Policy>>,
    settings: Settings,
    namespace: String,
    namespaces: Namespaces,
    images: Images,
    /// The findings to leave out of the report.
    pub omissions: Omissions,
    /// The settings that somebody set, and their file.
    pub given: Option<GivenSettings>,
}

impl Setup {
    /// Reads the files of options and loads the policies. If `fill` is true, flyte-non-root fills in missing users.
    ///
    /// # Errors
    ///
    /// [`Unusable`], or an error if a policy cannot be loaded or needs settings.
    pub fn load(scope: &Scope, config: Option<&Config>, fill: bool) -> Result<Self, Box<dyn Error>> {
        let policies = policies(scope)?;
        let (settings, source) = settings(scope, config, &policies)?;
        let given = source.map(|from| GivenSettings { from, names: settings.names() });
        let omissions = Omissions {
            knows: |policy, rule| decision::rule(policy, rule).is_some(),
            on: rules("rule", &scope.rules, &policies, config)?,
            off: rules("skip", &scope.skip, &policies, config)?,
            baseline: option_file("baseline", scope.baseline.as_deref(), Baseline::parse)?,
        };
        let policies = chosen(policies, scope, config)?;
        let is_run = |own: &str| policies.iter().any(|policy| contains(policy.name(), own));
        if !omissions.on.is_empty() && !omissions.on.iter().any(|(policy, _)| is_run(policy)) {
            return Err(format!("--rule {}: no policy with this rule is run", scope.rules.join(",")).into());
        }
        for policy in policies.iter().filter(|policy| !settings.has(policy.name())) {
            let needed = |problem| format!("{} needs settings: {problem}", policy.name());
            policy.validate_settings("{}").map_err(needed)?;
        }
        let settings = if fill { settings.or("fill", "flyte", &policies)? } else { settings };
        let settings = match &scope.image_users {
            Some(_) => settings.or("imageUser", "check", &policies)?,
            None => settings,
        };
        let images = option_file("image users", scope.image_users.as_deref(), Images::parse)?.unwrap_or_default();
        let namespaces = match &scope.namespaces[..] {
            [] => Namespaces::Flytes,
            named if named.iter().any(|name| name == ALL) => Namespaces::All,
            named => Namespaces::Named(named.to_vec()),
        };
        Ok(Self { policies, settings, namespace: scope.namespace.clone(), namespaces, images, omissions, given })
    }

    /// Returns the namespaces that the user named. Empty if the user named none, or all.
    #[cfg(feature = "cluster")]
    pub fn named_namespaces(&self) -> &[String] {
        match &self.namespaces {
            Namespaces::Named(names) => names,
            Namespaces::All | Namespaces::Flytes => &[],
        }
    }

    /// Returns the settings of each policy that has any, as JSON.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.by_policy()
    }

    /// Returns the parts of a check.
    pub fn check(&self) -> Check<'_, Box<dyn Policy>> {
        let Self { policies, settings, namespace, namespaces, images, .. } = self;
        Check { policies, settings, namespace, images: images.clone(), namespaces: namespaces.clone() }
    }
}

/// Returns the settings, and the name of the file that contains them.
fn settings(
    scope: &Scope,
    config: Option<&Config>,
    policies: &[Box<dyn Policy>],
) -> Result<(Settings, Option<String>), Unusable> {
    let unusable = |what, file: &Path, WrongSettings { line, problem, .. }| Unusable {
        what,
        file: shown(file),
        line: Some(line),
        reason: problem,
    };
    if let Some(file) = &scope.settings {
        let unreadable = |reason| Unusable { what: "settings", file: shown(file), line: None, reason };
        let text = read_file_text(file, MOST_OF_SETTINGS).map_err(unreadable)?;
        let settings = Settings::parse(&text, policies).map_err(|wrong| unusable("settings", file, wrong))?;
        return Ok((settings, Some(shown(file))));
    }
    match config.and_then(|config| Some((&config.file, config.settings()?))) {
        None => Ok((Settings::default(), None)),
        Some((file, settings)) => {
            let settings = Settings::checked(Some(settings.clone()), policies).map_err(|wrong| {
                let problem = format!("settings: {}", wrong.problem);
                unusable("configuration", file, WrongSettings { problem, ..wrong })
            })?;
            Ok((settings, Some(shown(file))))
        }
    }
}

/// Reads a file of options, if one is named.
fn option_file<T>(
    what: &'static str,
    file: Option<&Path>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Unusable> {
    let of_file = |file: &Path| {
        let unusable = |reason| Unusable { what, file: shown(file), line: None, reason };
        read_file_text(file, MOST_OF_SETTINGS).and_then(|text| read(&text)).map_err(unusable)
    };
    file.map(of_file).transpose()
}

/// Returns the policies to run: the modules that the user named, or else the linked policies.
fn policies(scope: &Scope) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    if !scope.modules.is_empty() {
        return modules::load(scope);
    }
    let linked =
        linked::policies(|| SystemTime::UNIX_EPOCH.elapsed().map_err(|error| error.to_string()), || Ok(LINKED));
    Ok(linked.into_iter().map(|policy| Box::new(policy) as Box<dyn Policy>).collect())
}

/// Removes the policies that `--policy` and `--skip` exclude.
fn chosen(
    mut policies: Vec<Box<dyn Policy>>,
    scope: &Scope,
    config: Option<&Config>,
) -> Result<Vec<Box<dyn Policy>>, Box<dyn Error>> {
    let known: Vec<&str> = policies.iter().map(|policy| policy.name()).collect();
    if let Some(unknown) = scope.policies.iter().find(|name| !known.contains(&&***name)) {
        let problem = format!("there is no policy `{unknown}`; the policies are {}", known.join(", "));
        return Err(blamed(config, "policy", unknown, problem));
    }
    let names = |names: &[String], policy: &dyn Policy| names.iter().any(|name| name == policy.name());
    policies
        .retain(|policy| !names(&scope.skip, policy) && (scope.policies.is_empty() || names(&scope.policies, policy)));
    if policies.is_empty() {
        return Err("--skip and --policy leave no policy to run".into());
    }
    Ok(policies)
}

/// Returns the rules that an option names, each as policy name and rule name. Ignores the names of policies, which
/// `--skip` accepts too.
fn rules(
    option: &str,
    names: &[String],
    policies: &[Box<dyn Policy>],
    config: Option<&Config>,
) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut rules = Vec::new();
    for name in names {
        if option == "skip" && policies.iter().any(|policy| policy.name() == name) {
            continue;
        }
        let found = explain::rules(Some(name)).map_err(|problem| blamed(config, option, name, problem))?;
        rules.extend(found.iter().map(|rule| (rule.name.policy.to_owned(), rule.name.rule.to_owned())));
    }
    Ok(rules)
}

/// Names where an option's value comes from: the command line, or a line of the configuration file.
fn blamed(config: Option<&Config>, option: &str, value: &str, problem: String) -> Box<dyn Error> {
    match config.and_then(|config| Some((&config.file, config.line_of(option, value)?))) {
        None => format!("--{option}: {problem}").into(),
        Some((file, line)) => Box::new(Unusable {
            what: "configuration",
            file: shown(file),
            line: Some(line),
            reason: format!("{option}: {problem}"),
        }),
    }
}

/// Writes JSON.
pub fn json(report: &impl Serialize, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    writeln!(out, "{}", text::escaped(&serde_json::to_string_pretty(report)?))
}

/// Converts an error of writing. If the reader closes the pipe, that is not an error, and the exit code stays the same.
pub fn finish(written: io::Result<()>) -> Result<(), Box<dyn Error>> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns a path in the form that messages show.
pub fn shown(path: &Path) -> String {
    without_user(&path.to_string_lossy())
}
