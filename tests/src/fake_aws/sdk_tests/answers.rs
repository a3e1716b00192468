//! Tokens, identities and sessions.

use aws_sdk_ecr::operation::RequestId as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[tokio::test]
async fn ecr_parses_a_token_that_the_fake_then_accepts() {
    let aws = FakeAws::start().await.unwrap();
    aws.set_token_life(Duration::from_secs(5));
    let output = ecr(&aws).await.get_authorization_token().send().await.unwrap();
    assert!(output.request_id().is_some());
    let [data] = output.authorization_data() else { panic!("one entry") };
    let decoded = STANDARD.decode(data.authorization_token().unwrap()).unwrap();
    let decoded = String::from_utf8(decoded).unwrap();
    let (user, password) = decoded.split_once(':').unwrap();
    assert_eq!(user, "AWS");
    assert!(aws.accepts(password));
    assert_eq!(aws.latest_password().as_deref(), Some(password));
    assert_eq!(aws.verdict(DEFAULT_ACCOUNT, "eu-west-1", user, password), Verdict::Accepted);
    let host = format!("https://{DEFAULT_ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!(data.proxy_endpoint(), Some(host.as_str()));
    let expiry = data.expires_at().unwrap().to_millis().unwrap();
    assert!((expiry - aws.issued()[0].expires_at.as_millisecond()).abs() <= 1);
}

#[tokio::test]
async fn ecr_public_parses_its_single_entry() {
    let aws = FakeAws::start().await.unwrap();
    let key = Credentials::new("AKIA1", "secret", None, None, "test");
    let config = config_with(&aws, "us-east-1", key).await;
    let client = aws_sdk_ecrpublic::Client::new(&config);
    let output = client.get_authorization_token().send().await.unwrap();
    let data = output.authorization_data().unwrap();
    assert!(data.authorization_token().unwrap().contains(TOKEN_MARKER));
    let expiry = data.expires_at().unwrap().to_millis().unwrap();
    assert!((expiry - aws.issued()[0].expires_at.as_millisecond()).abs() <= 1);
    let password = aws.latest_password().unwrap();
    assert_eq!(aws.public_verdict("AWS", &password), Verdict::Accepted);
    assert_eq!(aws.count(Operation::GetPublicAuthorizationToken), 1);
}

#[tokio::test]
async fn sts_returns_the_owner_of_the_key() {
    let aws = FakeAws::start().await.unwrap();
    aws.add_identity("AKIA2", "111122223333", "arn:aws:iam::111122223333:user/b&c");
    let client = aws_sdk_sts::Client::new(&config(&aws, "AKIA2").await);
    let named = client.get_caller_identity().send().await.unwrap();
    assert_eq!(named.account(), Some("111122223333"));
    assert_eq!(named.arn(), Some("arn:aws:iam::111122223333:user/b&c"));
    let other = sts(&aws).await.get_caller_identity().send().await.unwrap();
    assert_eq!((other.account(), other.arn()), (Some(DEFAULT_ACCOUNT), Some(DEFAULT_ARN)));
}

#[tokio::test]
async fn an_assumed_role_calls_as_its_own_account() {
    let aws = FakeAws::start().await.unwrap();
    let session = assume(&aws, None).await.unwrap();
    assert!(session.access_key_id().starts_with("ASIA"));
    let config = config_with(&aws, "us-east-1", session).await;
    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some(ROLE_ACCOUNT));
    let arn = "arn:aws:sts::210987654321:assumed-role/puller/night";
    assert_eq!(identity.arn(), Some(arn));
    aws_sdk_ecr::Client::new(&config).get_authorization_token().send().await.unwrap();
    let issued = aws.issued().remove(0);
    assert_eq!((issued.account.as_str(), issued.arn.as_str()), (ROLE_ACCOUNT, arn));
    let verdict = |account| aws.verdict(account, "us-east-1", "AWS", &issued.password);
    assert_eq!(verdict(ROLE_ACCOUNT), Verdict::Accepted);
    assert_eq!(verdict(DEFAULT_ACCOUNT), Verdict::WrongAccount);
    let callers: Vec<_> = aws.calls().into_iter().map(|call| call.account).collect();
    assert_eq!(callers, [DEFAULT_ACCOUNT, ROLE_ACCOUNT, ROLE_ACCOUNT]);
}

#[tokio::test]
async fn a_session_that_is_over_is_an_expired_token() {
    let aws = FakeAws::start().await.unwrap();
    aws.set_session_life(Duration::ZERO);
    let session = assume(&aws, None).await.unwrap();
    let config = config_with(&aws, "eu-west-1", session).await;
    let ecr = aws_sdk_ecr::Client::new(&config).get_authorization_token().send().await;
    assert_eq!(refusal(ecr).0, "ExpiredTokenException");
    let sts = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await;
    assert_eq!(refusal(sts).0, "ExpiredToken");
}

#[tokio::test]
async fn a_role_wants_its_external_id() {
    let aws = FakeAws::start().await.unwrap();
    aws.require_external_id(ROLE, "abc");
    assert!(assume(&aws, Some("abc")).await.is_ok());
    let request = sts(&aws).await.assume_role().role_arn(ROLE).role_session_name("night");
    let (code, message) = refusal(request.external_id("xyz").send().await);
    assert_eq!(code, "AccessDenied");
    assert!(message.contains(DEFAULT_ARN) && message.contains(ROLE), "{message}");
}

#[tokio::test]
async fn a_web_identity_needs_no_key() {
    let aws = FakeAws::start().await.unwrap();
    let request = sts(&aws).await.assume_role_with_web_identity();
    let request = request.role_arn(ROLE).role_session_name("night").web_identity_token("a.b.c");
    let output = request.send().await.unwrap();
    let life = output.credentials().unwrap().expiration().secs() - Timestamp::now().as_second();
    assert!((3590..=3600).contains(&life), "{life}");
    let call = aws.calls().remove(0);
    assert_eq!((call.account.as_str(), call.access_key_id.as_str()), (ROLE_ACCOUNT, ""));
}
