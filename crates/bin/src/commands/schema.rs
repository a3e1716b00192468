//! `schema`: what the config file may say, for editors.

use crate::{config, failure::Failure, output};

/// Prints the JSON Schema of the config file.
pub(crate) fn execute() -> Result<(), Failure> {
    output::print(text())
}

fn text() -> String {
    format!("{:#}\n", config::schema())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_committed_schema_is_the_printed_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/schema.json");
        let committed = fs::read_to_string(path).unwrap();
        assert!(committed == text(), "config/schema.json is out of step: run `make schema`");
    }
}
