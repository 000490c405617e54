//! Properties of an object, by name and type.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// All properties of one interface, read at one moment.
#[derive(Debug, Default)]
pub(in crate::watch) struct Properties(HashMap<String, OwnedVariant>);

impl Properties {
    pub(super) fn new(found: HashMap<String, OwnedVariant>) -> Self {
        Self(found)
    }

    fn get(&self, name: &str) -> Option<&Variant<'_>> {
        self.0.get(name).map(|value| &**value)
    }

    /// A truth value; absent where the object has none of this name and type.
    pub(in crate::watch) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.try_into().ok()
    }

    /// A number without sign.
    pub(in crate::watch) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.try_into().ok()
    }

    /// A number with a sign.
    pub(in crate::watch) fn signed(&self, name: &str) -> Option<i32> {
        self.get(name)?.try_into().ok()
    }

    /// A number with a fraction.
    pub(in crate::watch) fn fraction(&self, name: &str) -> Option<f64> {
        self.get(name)?.try_into().ok()
    }

    /// A text.
    pub(in crate::watch) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.try_into().ok()
    }

    /// Paths of objects.
    pub(in crate::watch) fn objects(&self, name: &str) -> Vec<OwnedObjectPath> {
        let list = self.0.get(name).and_then(|value| value.try_clone().ok());
        list.and_then(|list| list.try_into().ok())
            .unwrap_or_default()
    }

    /// Maps of a list, such as the holds of a power profile.
    pub(in crate::watch) fn maps(&self, name: &str) -> Vec<HashMap<String, OwnedVariant>> {
        let list = self.0.get(name).and_then(|value| value.try_clone().ok());
        list.and_then(|list| list.try_into().ok())
            .unwrap_or_default()
    }
}
