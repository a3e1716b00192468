//! Label selectors that select nothing.

use super::Inspection;
use crate::words::plural;

/// A warning for each pull Secret whose label selector leaves none of the namespaces that its patterns match.
pub(super) fn unselected(inspection: &Inspection) -> String {
    let report = inspection.snapshot.report();
    let warning = |(position, secret): (usize, &ecr_refresher_sync::report::SecretReport)| {
        let matched = secret.unselected?;
        let namespaces = plural(matched, "namespace", "namespaces");
        let (place, name) = (inspection.locations.selector(position), &secret.name);
        Some(format!(
            "warning: {place}: the label selector of {name} selects none of the {namespaces} that its patterns \
             match\n"
        ))
    };
    report.secrets.iter().enumerate().filter_map(warning).collect()
}
