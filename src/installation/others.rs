//! The objects besides the one in the request, and flyteadmin's configuration in them.

use std::{cell::RefCell, ops::Deref, rc::Rc};

use serde_json::value::RawValue;

use super::{admin::Admin, objects::Objects};
use crate::host::Host;

/// The objects besides the one in the request. Each flyteadmin is computed once, and only if needed.
pub(crate) struct Others<'c> {
    objects: Objects<'c>,
    admins: RefCell<Vec<(String, Known)>>,
}

/// A flyteadmin, or why it is not known.
type Known = Rc<Result<Admin, String>>;

impl<'c> Deref for Others<'c> {
    type Target = Objects<'c>;

    fn deref(&self) -> &Objects<'c> {
        &self.objects
    }
}

impl<'c> Others<'c> {
    /// The objects for a request whose object is not a ConfigMap.
    pub(crate) fn beside(host: &'c dyn Host) -> Self {
        Self::from_objects(Objects::beside(host))
    }

    /// The objects for a request whose object is a ConfigMap: those of its namespace, or of all namespaces.
    pub(crate) fn beside_config_map(
        host: &'c dyn Host,
        is_everywhere: bool,
        config_map: (&'c str, &'c str, &'c RawValue),
    ) -> Self {
        Self::from_objects(Objects::beside_config_map(host, is_everywhere, config_map))
    }

    /// The same objects, of all namespaces.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn everywhere(&self) -> Self {
        Self::from_objects(self.objects.everywhere())
    }

    /// The same objects, with the ConfigMap as it was before the request.
    pub(crate) fn before(&self, old: &'c RawValue) -> Self {
        Self::from_objects(self.objects.before(old))
    }

    fn from_objects(objects: Objects<'c>) -> Self {
        Self { objects, admins: RefCell::default() }
    }

    /// The flyteadmin of a namespace.
    pub(crate) fn admin(&self, namespace: &str) -> Known {
        if let Some((_, admin)) = self.admins.borrow().iter().find(|(known, _)| known == namespace) {
            return Rc::clone(admin);
        }
        let admin = Rc::new(Admin::find(&self.objects, namespace));
        self.admins.borrow_mut().push((namespace.to_owned(), Rc::clone(&admin)));
        admin
    }
}
