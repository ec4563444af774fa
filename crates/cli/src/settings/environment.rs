//! The variables of the process.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Variables by name. A variable that is empty is like one that is not set.
#[derive(Clone)]
pub(crate) struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Environment {
    /// The process's own.
    pub(crate) fn of_process() -> Environment {
        Environment(Arc::new(|name| std::env::var_os(name)))
    }

    /// A variable whose value is a text; what is no UTF-8 is replaced.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// A variable whose value is a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    fn get(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    /// Shows nothing: there are secrets in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Environment {
        let variables = variables.map(|(name, value)| (name.to_owned(), OsString::from(value)));
        let variables = std::collections::HashMap::from(variables);
        Environment(Arc::new(move |name| variables.get(name).cloned()))
    }
}
