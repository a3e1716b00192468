//! The tokens are read from their owner at each step, so no change of them can be missed.

use super::*;

fn configure(fixture: &mut Fixture, registries: &[&str]) {
    fixture.step(Input::Configure(Box::new(settings(registries, "team-*"))));
}

fn is_aws(source: &TokenSource) -> bool {
    matches!(source, TokenSource::Aws(_))
}

/// The content and the kind of the only running job.
fn apply(fixture: &Fixture) -> &Apply {
    let [StartedJob { job, .. }] = &fixture.running[..] else { panic!("{:?}", fixture.running) };
    let Action::Apply(apply) = &job.action else { panic!("{job:?}") };
    apply
}

#[test]
fn an_edit_of_the_registries_that_is_undone_changes_nothing() {
    let mut fixture = Fixture::leading(&["team-a"]);
    fixture.finish_all();
    let before = fixture.desired().content;
    configure(&mut fixture, &["main"]);
    configure(&mut fixture, &["main", "hub"]);
    fixture.pass(LIFE / 2 + 600);
    assert_eq!(fixture.desired().content, before);
    fixture.fetch(|_| true);
    fixture.wait_for_job();
    assert_eq!(apply(&fixture).manifest.content, fixture.desired().content);
    assert_ne!(fixture.desired().content, before);
}

#[test]
fn a_refresh_beside_a_dead_registry_is_not_a_repair() {
    let mut fixture = Fixture::new();
    fixture.lead(1);
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[]);
    fixture.fetch(is_aws);
    fixture.step(Input::Wake);
    for _ in 0..20 {
        assert!(!apply(&fixture).is_repair);
        let effects = fixture.finish();
        let is_calm = |effect: &Effect| matches!(effect, Effect::ReportJob { outcome, .. } if outcome.contest.is_none());
        assert!(effects.iter().all(is_calm), "{effects:?}");
        fixture.pass(LIFE / 2 + 600);
        fixture.fetch(is_aws);
        fixture.wait_for_job();
    }
}

#[test]
fn a_new_token_is_rendered_once() {
    let mut fixture = Fixture::leading(&["team-a"]);
    fixture.finish_all();
    for _ in 0..3 {
        fixture.step(Input::Wake);
        assert!(fixture.running.is_empty());
    }
}

#[test]
fn where_documents_are_large_fewer_jobs_run_at_once() {
    let names: Vec<_> = (0..40).map(|number| format!("team-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for (mebibytes, jobs) in [(0, 32), (1, 7), (20, 1)] {
        let mut fixture = Fixture::new();
        let mut settings = settings(&["main"], "team-*");
        let large = ("large".to_owned(), "x".repeat(mebibytes << 20));
        settings.secrets[0].annotations = [large].into();
        fixture.step(Input::Configure(Box::new(settings)));
        fixture.lead(1);
        fixture.list_namespaces(&names);
        fixture.list_copies(&[]);
        fixture.fetch(|_| true);
        fixture.step(Input::Wake);
        assert_eq!(fixture.running.len(), jobs);
        fixture.finish();
        assert_eq!(fixture.running.len(), jobs, "the next one starts");
    }
}
