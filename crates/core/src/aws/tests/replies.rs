//! Replies of ECR and STS with damage: each is a whole token, or a failure that shows no secret.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{Aws, IdentitySettings, ecr, role};
use crate::{
    Files, Reason,
    clock::Clock,
    damage::damaged,
    tokens::{Api, AwsSource, TokenSource},
};

const ROLE: &str = "arn:aws:iam::222222222222:role/puller";
const SESSION: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
    <AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>\
    <SessionToken>hunter2</SessionToken><Expiration>2126-11-27T12:00:00Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";
const REFUSAL: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
    <Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>";
/// The token is `AWS:hunter2`.
const TOKEN: &str = r#"{"authorizationData":[{"authorizationToken":"QVdTOmh1bnRlcjI=",
    "expiresAt":4951800000.0,"proxyEndpoint":"https://1.dkr.ecr.eu-west-1.amazonaws.com"}]}"#;
const PUBLIC_TOKEN: &str = r#"{"authorizationData":
    {"authorizationToken":"QVdTOmh1bnRlcjI=","expiresAt":4951800000.0}}"#;
const PROBLEM: &str = r#"{"__type":"AccessDeniedException","message":"no"}"#;

#[derive(Debug, Clone)]
struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    body: Vec<u8>,
}

/// An AWS that always gives the same replies.
#[derive(Debug, Clone)]
struct Replies {
    of_sts: Reply,
    of_ecr: Reply,
}

impl HttpClient for Replies {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Replies {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_of_ecr = request.headers().get("x-amz-target").is_some();
        let Reply { status, content_type, body } =
            if is_of_ecr { self.of_ecr.clone() } else { self.of_sts.clone() };
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(content_type) = content_type {
            response.headers_mut().insert("content-type", content_type);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

fn reply(good: &'static [&'static str]) -> impl Strategy<Value = Reply> {
    let status = prop_oneof![4 => Just(200), 1 => select(&[204_u16, 301, 400, 403, 503, 599][..])];
    let content_type =
        option::of(select(&["text/xml", "application/x-amz-json-1.1", "text/html"][..]));
    let good = select(good).prop_flat_map(damaged);
    let body = prop_oneof![8 => good, 1 => vec(any::<u8>(), 0..100)];
    (status, content_type, body).prop_map(|(status, content_type, body)| Reply {
        status,
        content_type,
        body,
    })
}

fn aws(replies: Replies) -> Aws {
    let keys = Credentials::new("AKIABASE", "s", None, None, "test");
    Aws::with_client(
        SharedHttpClient::new(replies),
        "eu-west-1",
        SharedCredentialsProvider::new(keys),
        Clock::system(),
        Files::system(),
    )
}

proptest! {
    #[test]
    fn no_reply_panics_or_shows_its_secrets(
        of_sts in reply(&[SESSION, SESSION, REFUSAL]),
        of_ecr in reply(&[TOKEN, PUBLIC_TOKEN, PROBLEM]),
        is_public: bool,
        with_role: bool,
    ) {
        let roles = if with_role { vec![role(ROLE, None)] } else { Vec::new() };
        let source = if is_public {
            TokenSource::Aws(AwsSource {
                api: Api::EcrPublic,
                identity: IdentitySettings { roles, credentials_directory: None },
                region: None,
                endpoint_url: None,
            })
        } else {
            ecr(Some("eu-west-1"), &roles)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let aws = aws(Replies { of_sts, of_ecr });
        let (token, caller) = runtime.block_on(async {
            (aws.fetch(&source).await.map(drop), aws.caller(&source).await.unwrap())
        });
        for error in [token.err(), caller.err()].into_iter().flatten() {
            prop_assert_ne!(error.reason, Reason::Internal);
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
            prop_assert!(!shown.contains("h1bnRlc"), "{shown}");
        }
    }
}
