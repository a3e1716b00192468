//! The end of the help of each command: examples, and its exit codes.

pub(super) const ALL: &str = "\
`ecr-refresher COMMAND --help` has examples. With the name `kubectl-ecr_refresher` in the PATH, this program is a
plugin: `kubectl ecr-refresher status`.";

pub(super) const RUN: &str = "\
Examples:
  The daemon, with the kubeconfig of a laptop:
    $ ecr-refresher run config.yaml --namespace ecr-refresher
  One pass, as in a CronJob:
    $ ecr-refresher run --once --timeout 90s -o json

Exit codes:
  0    it was asked to end; with --once, all copies are up to date
  1    it failed; with --once, a copy is not up to date
  2    the command line or the config is invalid
  130  Ctrl-C, with --once";

pub(super) const CHECK: &str = "\
Examples:
  A file:
    $ ecr-refresher check config.yaml
  The config that the chart renders:
    $ helm template . --show-only templates/configmap.yaml | yq '.data[\"config.yaml\"]' | ecr-refresher check -
  Also the permissions of the daemon, and whether AWS gives tokens:
    $ ecr-refresher check config.yaml --cluster --as system:serviceaccount:ecr-refresher:ecr-refresher

Exit codes:
  0  all is right; warnings do not count
  1  with --cluster: a permission is missing, or a registry gives no credentials
  2  the command line or the config is invalid";

pub(super) const STATUS: &str = "\
Examples:
  All copies, with the config of the release in the cluster:
    $ ecr-refresher status --release ecr-refresher/ecr-refresher
  What fails, for a script:
    $ ecr-refresher status --failing -o json
  The copies of one namespace:
    $ ecr-refresher status -n team-a -o wide

Exit codes:
  0  no copy is missing, expired or in conflict
  1  a copy is, or the cluster could not be read
  2  the command line or the config is invalid";

pub(super) const PLAN: &str = "\
Examples:
  What an edited file would change:
    $ ecr-refresher plan edited.yaml
  Which copies it would change, one per line:
    $ ecr-refresher plan edited.yaml -o name

Exit codes:
  0  the plan was made
  1  the cluster could not be read
  2  the command line or the config is invalid";

pub(super) const EXPLAIN: &str = "\
Examples:
  Why a namespace has no pull Secret:
    $ ecr-refresher explain team-a
  With another config than that of the cluster:
    $ ecr-refresher explain team-a edited.yaml

Exit codes:
  0  all copies that are wanted are up to date, or none is wanted
  1  a copy is not, or the namespace does not exist
  2  the command line or the config is invalid";

pub(super) const COMPLETIONS: &str = "\
Examples:
  bash:
    $ ecr-refresher completions bash > ~/.local/share/bash-completion/completions/ecr-refresher
  zsh, in a folder of $fpath:
    $ ecr-refresher completions zsh > ~/.zfunc/_ecr-refresher
  fish:
    $ ecr-refresher completions fish > ~/.config/fish/completions/ecr-refresher.fish";

pub(super) const MAN_PAGES: &str = "\
Examples:
    $ ecr-refresher man-pages ~/.local/share/man/man1
  Then `man ecr-refresher-status` has all about `status`.";
