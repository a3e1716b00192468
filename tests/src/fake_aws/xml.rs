//! The XML of the query protocol.

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An error document.
pub(super) fn error(fault: &str, code: &str, message: &str, request_id: &str) -> String {
    let detail = [text("Type", fault), text("Code", code), text("Message", message)].concat();
    let body = [element("Error", &detail), text("RequestId", request_id)].concat();
    root("ErrorResponse", &body)
}

/// The answer of an operation; `result` is XML already.
pub(super) fn response(operation: &str, result: &str, request_id: &str) -> String {
    let metadata = element("ResponseMetadata", &text("RequestId", request_id));
    let result = element(&format!("{operation}Result"), result);
    root(&format!("{operation}Response"), &[result, metadata].concat())
}

/// An element around other elements.
pub(super) fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}

/// An element around text.
pub(super) fn text(name: &str, content: &str) -> String {
    element(name, &escape(content))
}

fn root(name: &str, content: &str) -> String {
    format!("<{name} xmlns=\"{NAMESPACE}\">{content}</{name}>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_wraps_its_result_and_the_request_id() {
        let xml = response("GetCallerIdentity", &text("Account", "1"), "id-1");
        assert_eq!(
            xml,
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>\
             <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>\
             </GetCallerIdentityResponse>\n"
        );
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(text("Message", "a<b & \"c\""), "<Message>a&lt;b &amp; &quot;c&quot;</Message>");
    }
}
