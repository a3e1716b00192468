use aws_sdk_ecr::error::ProvideErrorMetadata;
use jiff::SignedDuration;

use tokio::time::Instant;

use super::*;

const ROLE: &str = "arn:aws:iam::210987654321:role/teams/puller";

#[tokio::test(start_paused = true)]
async fn ecr_gives_a_token_for_the_accounts_host_in_the_region() {
    let aws = aws();
    let entry = only(ask_ecr(&aws).await.unwrap());
    assert_eq!(
        entry.proxy_endpoint(),
        Some("https://123456789012.dkr.ecr.eu-west-1.amazonaws.com")
    );
    let password = password(entry.authorization_token());
    assert_eq!(password, "token-1-eu-west-1");
    let cloud = aws.lock();
    let token = cloud.tokens.find(&password).unwrap();
    assert_eq!((token.number, token.service), (1, Service::Ecr));
    assert_eq!((token.account.as_str(), token.region.as_str()), (ACCOUNT, REGION));
    assert_eq!(token.caller, "replica-0");
    assert!(token.delivered);
    let expiry = entry.expires_at().unwrap();
    // The SDK reads the number as a float, and cuts it.
    let stated = token.stated_expiry.as_millisecond();
    assert!((stated - 1..=stated).contains(&expiry.to_millis().unwrap()), "{expiry:?}");
    assert_eq!(token.expires_at, token.stated_expiry);
    let life = token.expires_at.duration_since(token.issued_at);
    assert!(life <= SignedDuration::from_hours(12) && life.as_secs() >= 12 * 3600 - 1, "{life:?}");
    assert_eq!(cloud.tokens.newest_delivered(Service::Ecr, ACCOUNT, REGION), Some(token));
    assert_eq!(cloud.tokens.find("token-1-eu-west-2"), None);
    assert_eq!(cloud.tokens.find("token-2-eu-west-1"), None);
}

#[tokio::test(start_paused = true)]
async fn a_region_of_another_partition_has_hosts_of_that_partition() {
    let sdk = sdk(&aws(), keys("AKIA1"), "cn-north-1");
    let entry = only(ask_ecr_with(&sdk).await.unwrap());
    let host = "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
    assert_eq!(entry.proxy_endpoint(), Some(host));
}

#[tokio::test(start_paused = true)]
async fn ecr_public_gives_a_token_without_a_host() {
    let aws = aws();
    let data = ask_public(&aws).await.unwrap().authorization_data.unwrap();
    assert_eq!(password(data.authorization_token()), "token-1-us-east-1");
    assert!(data.expires_at().is_some());
    assert_eq!(aws.lock().tokens.all().next().unwrap().service, Service::EcrPublic);
}

#[tokio::test(start_paused = true)]
async fn expiries_of_whole_seconds_and_of_milliseconds_both_occur() {
    let aws = aws();
    let mut whole = 0;
    for _ in 0..40 {
        let entry = only(ask_ecr(&aws).await.unwrap());
        whole += u32::from(entry.expires_at().unwrap().subsec_nanos() == 0);
    }
    assert!((5..35).contains(&whole), "{whole} of 40");
    let cloud = aws.lock();
    let numbers: Vec<u64> = cloud.tokens.all().map(|token| token.number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn sts_names_the_identity_of_an_access_key() {
    let aws = aws();
    let caller = sts(&aws, keys("AKIA1")).get_caller_identity().send().await.unwrap();
    assert_eq!((caller.account(), caller.arn()), (Some(ACCOUNT), Some(USER_ARN)));
    let arn = "arn:aws:iam::222222222222:user/b".to_owned();
    let identity = Identity { account: "222222222222".into(), arn: arn.clone() };
    aws.lock().identities.keys.insert("AKIA2".into(), identity);
    let caller = sts(&aws, keys("AKIA2")).get_caller_identity().send().await.unwrap();
    assert_eq!((caller.account(), caller.arn()), (Some("222222222222"), Some(arn.as_str())));
}

#[tokio::test(start_paused = true)]
async fn a_session_has_the_account_of_its_role_and_expires_after_an_hour() {
    let aws = aws();
    let session = assume(&aws, ROLE).await.unwrap();
    assert_eq!(
        session.assumed_role_user().unwrap().arn(),
        "arn:aws:sts::210987654321:assumed-role/puller/night"
    );
    let given = session.credentials().unwrap();
    assert_eq!(given.expiration().secs(), 1_800_003_600);
    let session_keys = |token: Option<String>| {
        Credentials::new(given.access_key_id(), given.secret_access_key(), token, None, "test")
    };
    let good = sdk(&aws, session_keys(Some(given.session_token().to_owned())), REGION);
    let entry = only(ask_ecr_with(&good).await.unwrap());
    assert_eq!(
        entry.proxy_endpoint(),
        Some("https://210987654321.dkr.ecr.eu-west-1.amazonaws.com")
    );
    let bare = ask_ecr_with(&sdk(&aws, session_keys(None), REGION)).await.unwrap_err();
    assert_eq!(bare.code(), Some("UnrecognizedClientException"));
    tokio::time::sleep(Duration::from_hours(1)).await;
    let expired = ask_ecr_with(&good).await.unwrap_err();
    assert_eq!(expired.code(), Some("ExpiredTokenException"));
}

#[tokio::test(start_paused = true)]
async fn a_role_without_a_valid_arn_is_refused() {
    let error = assume(&aws(), "puller-without-an-arn").await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_access_key_is_not_recognised() {
    let aws = aws();
    aws.lock().identities.deleted_keys.insert("AKIA1".into());
    assert_eq!(ask_ecr(&aws).await.unwrap_err().code(), Some("UnrecognizedClientException"));
}

#[tokio::test(start_paused = true)]
async fn calls_are_logged_until_drained_and_always_counted() {
    let aws = aws();
    ask_ecr(&aws).await.unwrap();
    ask_public(&aws).await.unwrap();
    aws.lock().faults.push(FaultRule::always(Fault::Down));
    assume(&aws, ROLE).await.unwrap_err();
    let mut cloud = aws.lock();
    let calls = cloud.calls.drain();
    let seen: Vec<_> = calls.iter().map(|call| (call.operation, call.region.as_str())).collect();
    assert_eq!(
        seen,
        [
            (Operation::GetAuthorizationToken, REGION),
            (Operation::GetPublicAuthorizationToken, "us-east-1"),
            (Operation::AssumeRole, REGION),
        ]
    );
    assert!(calls.iter().all(|call| call.caller == "replica-0" && call.account == ACCOUNT));
    assert_eq!(calls[0].at, Duration::ZERO);
    assert!(calls.is_sorted_by_key(|call| call.at));
    assert_eq!(cloud.calls.drain(), []);
    assert_eq!(cloud.calls.count(Service::Sts, "replica-0"), 1);
    assert_eq!(cloud.calls.count(Service::Sts, "replica-1"), 0);
    assert_eq!(cloud.calls.total(Service::Ecr), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reply_takes_ten_to_a_hundred_milliseconds() {
    let aws = aws();
    for _ in 0..20 {
        let start = Instant::now();
        ask_ecr(&aws).await.unwrap();
        let took = start.elapsed().as_millis();
        // Tokio rounds each of the two waits up to a millisecond.
        assert!((10..=102).contains(&took), "{took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_replies_at_the_same_times() {
    async fn run(seed: u64) -> Vec<IssuedToken> {
        let aws = SimulatedAws::new(seed, TrueTime::begin());
        aws.lock().faults.push(FaultRule::sometimes(Fault::ReplyLost, 300));
        for _ in 0..20 {
            let _ = ask_ecr(&aws).await;
        }
        let cloud = aws.lock();
        cloud.tokens.all().cloned().collect()
    }
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}
