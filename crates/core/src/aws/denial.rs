//! The message of AWS for a missing permission.

/// The parts of the message: `User: ARN is not authorized to perform: ACTION on resource: RESOURCE
/// because …` (IAM user guide, "Troubleshoot access denied error messages").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denial<'a> {
    /// The ARN of the caller.
    pub(super) identity: &'a str,
    /// The IAM action.
    pub(super) action: &'a str,
    /// The resource; some services omit it.
    pub(super) resource: Option<&'a str>,
}

impl<'a> Denial<'a> {
    /// Parses a message; `None` if it has another form.
    pub(super) fn parse(message: &'a str) -> Option<Self> {
        let (identity, rest) =
            message.strip_prefix("User: ")?.split_once(" is not authorized to perform: ")?;
        let word = |text: &'a str| text.split_whitespace().next();
        let resource = rest.split_once(" on resource: ").and_then(|(_, rest)| word(rest));
        let action = word(rest).filter(|action| action.contains(':'))?;
        let good = identity.starts_with("arn:") && !identity.contains(char::is_whitespace);
        good.then_some(Self { identity, action, resource })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:sts::123456789012:assumed-role/puller/ecr-refresher";

    #[test]
    fn the_parts_of_a_denial_are_found() {
        let message = format!(
            "User: {ARN} is not authorized to perform: ecr:GetAuthorizationToken on resource: * \
             because no identity-based policy allows the ecr:GetAuthorizationToken action"
        );
        let denial = Denial::parse(&message).unwrap();
        assert_eq!(denial.identity, ARN);
        assert_eq!((denial.action, denial.resource), ("ecr:GetAuthorizationToken", Some("*")));
        let short = format!("User: {ARN} is not authorized to perform: sts:AssumeRole");
        assert_eq!(Denial::parse(&short).unwrap().resource, None);
    }

    #[test]
    fn other_words_are_no_denial() {
        for message in ["", "User: me is not authorized to perform: a:b", "Access denied", "User: "]
        {
            assert_eq!(Denial::parse(message), None, "{message:?}");
        }
    }
}
