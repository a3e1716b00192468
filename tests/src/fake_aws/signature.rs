//! The `SigV4` header: its access key, region and service. The signature itself is not verified.

use super::operation::Service;
use super::problem::Problem;

/// The credential scope of a signed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key_id: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    /// Reads an `Authorization` header.
    pub(super) fn parse(header: Option<&str>) -> Result<Self, Problem> {
        let header = header.ok_or(Problem::MissingAuthentication)?;
        let incomplete = |what: &str| Problem::IncompleteSignature(what.to_owned());
        let fields = header
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or_else(|| incomplete("the Authorization header is not of AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .find(|(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| value)
        };
        for name in ["SignedHeaders", "Signature"] {
            field(name).ok_or_else(|| incomplete(&format!("Authorization has no '{name}'")))?;
        }
        let credential =
            field("Credential").ok_or_else(|| incomplete("Authorization has no 'Credential'"))?;
        Self::of_credential(credential).ok_or_else(|| {
            incomplete("Credential must have the form KEY/DATE/REGION/SERVICE/aws4_request")
        })
    }

    /// Refuses a scope that names another service than the one called.
    pub(super) fn check_service(&self, expected: Service) -> Result<(), Problem> {
        if self.service == expected.signing_name() {
            Ok(())
        } else {
            Err(Problem::WrongService(expected))
        }
    }

    fn of_credential(credential: &str) -> Option<Self> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, "aws4_request"] = parts[..] else {
            return None;
        };
        let date_fits = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        let named = ![access_key_id, region, service].contains(&"");
        (date_fits && named).then(|| Self {
            access_key_id: access_key_id.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKIA1/20260801/eu-west-1/ecr/aws4_request, \
                        SignedHeaders=host;x-amz-date, Signature=0a1b";

    #[test]
    fn a_well_formed_header_gives_the_key_and_the_region() {
        let scope = Scope::parse(Some(GOOD)).unwrap();
        assert_eq!(scope.access_key_id, "AKIA1");
        assert_eq!(scope.region, "eu-west-1");
        assert_eq!(scope.check_service(Service::Ecr), Ok(()));
    }

    #[test]
    fn another_service_than_the_one_called_is_refused() {
        let scope = Scope::parse(Some(GOOD)).unwrap();
        let refused = scope.check_service(Service::EcrPublic);
        assert_eq!(refused, Err(Problem::WrongService(Service::EcrPublic)));
    }

    #[test]
    fn no_header_is_a_missing_authentication() {
        assert_eq!(Scope::parse(None), Err(Problem::MissingAuthentication));
    }

    #[test]
    fn a_header_with_a_missing_or_odd_part_is_incomplete() {
        let cases = [
            "Basic QVdTOng=".to_owned(),
            GOOD.replace("Signature=0a1b", "Signature="),
            GOOD.replace("SignedHeaders=host;x-amz-date, ", ""),
            GOOD.replace("Credential", "Cred"),
            GOOD.replace("/20260801/", "/today/"),
            GOOD.replace("/eu-west-1/", "//"),
            GOOD.replace("AKIA1", ""),
            GOOD.replace("/aws4_request", ""),
        ];
        for header in cases {
            let parsed = Scope::parse(Some(&header));
            assert!(matches!(parsed, Err(Problem::IncompleteSignature(_))), "{header}");
        }
    }
}
