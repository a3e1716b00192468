//! Refusals, spoilt answers and none at all.

use super::*;

#[tokio::test]
async fn each_refusal_has_its_code_in_either_protocol() {
    let aws = FakeAws::start().await.unwrap();
    let (ecr, sts) = (ecr(&aws).await, sts(&aws).await);
    let cases = [
        (Fault::ServerError(500), "ServerException", "InternalFailure", (500, 500)),
        (Fault::ServerError(503), "ServiceUnavailableException", "ServiceUnavailable", (503, 503)),
        (Fault::Throttled, "ThrottlingException", "Throttling", (400, 400)),
        (Fault::ThrottleException, "ThrottleException", "ThrottleException", (400, 400)),
        (Fault::AccessDenied, "AccessDeniedException", "AccessDenied", (400, 403)),
        (Fault::ExpiredToken, "ExpiredTokenException", "ExpiredToken", (400, 403)),
        (
            Fault::UnrecognizedClient,
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            (400, 403),
        ),
    ];
    for (fault, json, query, (json_status, query_status)) in cases {
        aws.forget_calls();
        aws.fail_next(2, fault.clone());
        assert_eq!(refusal(ecr.get_authorization_token().send().await).0, json);
        assert_eq!(refusal(sts.get_caller_identity().send().await).0, query);
        let statuses: Vec<_> = aws.calls().iter().map(|call| call.status).collect();
        assert_eq!(statuses, [Some(json_status), Some(query_status)], "{fault:?}");
    }
    assert!(ecr.get_authorization_token().send().await.is_ok(), "healed by itself");
}

#[tokio::test]
async fn a_429_carries_its_retry_after() {
    let aws = FakeAws::start().await.unwrap();
    aws.fail_with(Fault::TooManyRequests(Some(3)));
    let error = ecr(&aws).await.get_authorization_token().send().await.unwrap_err();
    let raw = error.raw_response().unwrap();
    assert_eq!(raw.status().as_u16(), 429);
    assert_eq!(raw.headers().get("retry-after"), Some("3"));
}

#[tokio::test]
async fn a_page_without_json_is_not_an_answer() {
    let aws = FakeAws::start().await.unwrap();
    aws.fail_with(Fault::Garbage);
    let error = ecr(&aws).await.get_authorization_token().send().await.unwrap_err();
    assert!(matches!(error, SdkError::ResponseError(_) | SdkError::ServiceError(_)), "{error:?}");
    let error = sts(&aws).await.get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn answers_with_parts_missing_are_parsed_as_missing() {
    let aws = FakeAws::start().await.unwrap();
    let ecr = ecr(&aws).await;
    for fault in [Fault::EmptyReply, Fault::NoEntries] {
        aws.fail_next(1, fault);
        let output = ecr.get_authorization_token().send().await.unwrap();
        assert!(output.authorization_data().is_empty());
    }
    aws.fail_next(1, Fault::NullToken);
    let output = ecr.get_authorization_token().send().await.unwrap();
    assert_eq!(output.authorization_data()[0].authorization_token(), None);
    aws.fail_next(1, Fault::MissingExpiry);
    let output = ecr.get_authorization_token().send().await.unwrap();
    assert_eq!(output.authorization_data()[0].expires_at(), None);
    aws.fail_next(1, Fault::TwoEntries);
    let output = ecr.get_authorization_token().send().await.unwrap();
    assert_eq!(output.authorization_data().len(), 2);
}

#[tokio::test]
async fn a_closed_connection_is_a_dispatch_failure() {
    let aws = FakeAws::start().await.unwrap();
    aws.fail_with(Fault::Disconnect);
    let error = ecr(&aws).await.get_authorization_token().send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(aws.calls()[0].status, None);
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_gives_up() {
    let aws = FakeAws::start().await.unwrap();
    aws.fail_with(Fault::Hang);
    let ecr = ecr(&aws).await;
    let call = ecr.get_authorization_token().send();
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    aws.heal();
    assert!(ecr.get_authorization_token().send().await.is_ok());
    assert_eq!(aws.count(Operation::GetAuthorizationToken), 2);
}

#[tokio::test]
async fn dropping_the_fake_closes_its_port_and_its_connections() {
    let aws = FakeAws::start().await.unwrap();
    let ecr = ecr(&aws).await;
    ecr.get_authorization_token().send().await.unwrap();
    drop(aws);
    tokio::task::yield_now().await;
    let error = ecr.get_authorization_token().send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
}

#[tokio::test]
async fn other_requests_than_calls_to_aws_are_not_found_and_not_recorded() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let aws = FakeAws::start().await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(aws.address).await.unwrap();
    let request = b"GET /other/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert_eq!(aws.calls(), []);
}
