use std::error::Error;

use jiff::SignedDuration;

use super::*;

fn mangled(mangling: Mangling) -> SimulatedAws {
    aws_with(FaultRule::always(Fault::Mangled(mangling)))
}

/// Whether the SDK could not read a reply with a good status.
fn is_unreadable<E: Error>(error: &SdkError<E, HttpResponse>) -> bool {
    let is_parsed = matches!(error, SdkError::ServiceError(_) | SdkError::ResponseError(_));
    is_parsed && error.raw_response().unwrap().status().is_success()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_refuses_connections() {
    let error = ask_ecr(&aws_with(FaultRule::always(Fault::Down))).await.unwrap_err();
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_ends_with_the_clients_timeout() {
    let time = TrueTime::begin();
    let aws = aws_with(FaultRule::always(Fault::Hanging));
    let error = ask_ecr(&aws).await.unwrap_err();
    assert!(
        matches!(&error, SdkError::DispatchFailure(failure) if failure.is_timeout()),
        "{error:?}"
    );
    assert_eq!(time.elapsed(), READ_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reply_comes_late() {
    let time = TrueTime::begin();
    let aws = aws_with(FaultRule::always(Fault::Slow(Duration::from_secs(3))));
    ask_ecr(&aws).await.unwrap();
    assert!((3..4).contains(&time.elapsed().as_secs()), "{:?}", time.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_too_slow_ends_with_the_clients_timeout_and_issues_nothing() {
    let aws = aws_with(FaultRule::always(Fault::Slow(READ_TIMEOUT)));
    let error = ask_ecr(&aws).await.unwrap_err();
    assert!(
        matches!(&error, SdkError::DispatchFailure(failure) if failure.is_timeout()),
        "{error:?}"
    );
    assert_eq!(aws.lock().tokens.all().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_a_token_that_was_issued_but_not_delivered() {
    let aws = aws_with(FaultRule::always(Fault::ReplyLost));
    let error = ask_ecr(&aws).await.unwrap_err();
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()), "{error:?}");
    let cloud = aws.lock();
    assert!(!cloud.tokens.find("token-1-eu-west-1").unwrap().delivered);
    assert_eq!(cloud.tokens.newest_delivered(Service::Ecr, ACCOUNT, REGION), None);
}

#[tokio::test(start_paused = true)]
async fn truncated_bodies_and_html_pages_are_unreadable() {
    for mangling in [Mangling::Truncated, Mangling::HtmlPage] {
        let aws = mangled(mangling);
        let error = ask_ecr(&aws).await.unwrap_err();
        assert!(is_unreadable(&error), "{mangling:?}: {error:?}");
        let error = ask_public(&aws).await.unwrap_err();
        assert!(is_unreadable(&error), "{mangling:?}: {error:?}");
    }
    let aws = mangled(Mangling::HtmlPage);
    let caller = sts(&aws, keys("AKIA1")).get_caller_identity();
    assert!(is_unreadable(&caller.send().await.unwrap_err()));
    let session = assume(&aws, "arn:aws:iam::210987654321:role/r").await;
    assert!(is_unreadable(&session.unwrap_err()));
}

/// The AWS SDK does not notice that XML ends in the middle. It fills in what must be there.
#[tokio::test(start_paused = true)]
async fn a_truncated_reply_of_sts_is_one_with_missing_parts() {
    let aws = mangled(Mangling::Truncated);
    let (mut without_token, mut without_account) = (0, 0);
    for _ in 0..50 {
        let session = assume(&aws, "arn:aws:iam::210987654321:role/r").await;
        let given = session.ok().and_then(|session| session.credentials);
        without_token += u32::from(given.is_some_and(|given| given.session_token().is_empty()));
        let caller = sts(&aws, keys("AKIA1")).get_caller_identity().send().await;
        without_account += u32::from(caller.is_ok_and(|caller| caller.account().is_none()));
    }
    assert!(without_token > 0 && without_account > 0, "{without_token}, {without_account}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_body_and_one_without_data_are_replies_without_a_token() {
    for mangling in [Mangling::EmptyBody, Mangling::NoData] {
        let aws = mangled(mangling);
        assert_eq!(ask_ecr(&aws).await.unwrap().authorization_data, None);
        assert_eq!(ask_public(&aws).await.unwrap().authorization_data, None);
    }
    let error = sts(&mangled(Mangling::EmptyBody), keys("AKIA1")).get_caller_identity();
    assert!(is_unreadable(&error.send().await.unwrap_err()));
    let aws = mangled(Mangling::NoData);
    let session = assume(&aws, "arn:aws:iam::210987654321:role/r").await.unwrap();
    assert_eq!(session.credentials(), None);
}

#[tokio::test(start_paused = true)]
async fn each_part_of_the_data_can_be_missing() {
    let entry = only(ask_ecr(&mangled(Mangling::NoToken)).await.unwrap());
    assert!(entry.authorization_token().is_none() && entry.expires_at().is_some());
    let entry = only(ask_ecr(&mangled(Mangling::NoExpiry)).await.unwrap());
    assert!(entry.authorization_token().is_some() && entry.expires_at().is_none());
    let entry = only(ask_ecr(&mangled(Mangling::NoHost)).await.unwrap());
    assert!(entry.authorization_token().is_some() && entry.proxy_endpoint().is_none());
    let data = ask_public(&mangled(Mangling::NoToken)).await.unwrap().authorization_data.unwrap();
    assert!(data.authorization_token().is_none() && data.expires_at().is_some());
    let two = ask_ecr(&mangled(Mangling::TwoEntries)).await.unwrap();
    assert_eq!(two.authorization_data().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_can_be_unusable() {
    let aws = mangled(Mangling::BadBase64);
    let entry = only(ask_ecr(&aws).await.unwrap());
    assert!(STANDARD.decode(entry.authorization_token().unwrap()).is_err());
    assert!(!aws.lock().tokens.all().next().unwrap().delivered);
    let entry = only(ask_ecr(&mangled(Mangling::NoPassword)).await.unwrap());
    assert_eq!(password(entry.authorization_token()), "");
}

#[tokio::test(start_paused = true)]
async fn a_token_can_be_expired_on_arrival() {
    let aws = aws_with(FaultRule::always(Fault::ExpiredOnArrival));
    let entry = only(ask_ecr(&aws).await.unwrap());
    assert!(entry.expires_at().unwrap().secs() < 1_800_000_000);
    let cloud = aws.lock();
    let token = cloud.tokens.all().next().unwrap();
    assert!(token.expires_at < token.issued_at && !token.delivered);
}

#[tokio::test(start_paused = true)]
async fn a_reply_can_be_for_another_region_or_account() {
    let aws = aws_with(FaultRule::always(Fault::OtherRegion("us-east-2".into())));
    let entry = only(ask_ecr(&aws).await.unwrap());
    let host = "https://123456789012.dkr.ecr.us-east-2.amazonaws.com";
    assert_eq!(entry.proxy_endpoint(), Some(host));
    let aws = aws_with(FaultRule::always(Fault::OtherAccount("222222222222".into())));
    let entry = only(ask_ecr(&aws).await.unwrap());
    let host = "https://222222222222.dkr.ecr.eu-west-1.amazonaws.com";
    assert_eq!(entry.proxy_endpoint(), Some(host));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_aws_shifts_the_stated_expiry_and_not_the_true_one() {
    let aws = aws();
    aws.lock().clock_ahead = SignedDuration::from_secs(-90);
    let entry = only(ask_ecr(&aws).await.unwrap());
    let cloud = aws.lock();
    let token = cloud.tokens.all().next().unwrap();
    assert_eq!(entry.expires_at().unwrap().secs(), token.stated_expiry.as_second());
    assert_eq!(token.stated_expiry.duration_since(token.expires_at).as_secs(), -90);
    let life = token.expires_at.duration_since(token.issued_at);
    assert!((life.as_secs() - 12 * 3600).abs() <= 1, "{life:?}");
}

#[tokio::test(start_paused = true)]
async fn the_life_of_tokens_and_of_sessions_can_be_set() {
    let aws = aws();
    aws.lock().token_life = SignedDuration::from_mins(2);
    aws.lock().session_life = SignedDuration::from_mins(15);
    let entry = only(ask_ecr(&aws).await.unwrap());
    assert_eq!(entry.expires_at().unwrap().secs(), 1_800_000_120);
    let session = assume(&aws, "arn:aws:iam::210987654321:role/r").await.unwrap();
    assert_eq!(session.credentials().unwrap().expiration().secs(), 1_800_000_900);
}
