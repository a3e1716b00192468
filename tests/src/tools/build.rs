//! Building a tool from its Go module, once, into a cache that outlives `cargo clean`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::cache;
use super::progress::Progress;
use super::recipes::{ASSETS, GoProgram, Module};
use crate::process::{last_lines, run_to_end};

/// The path of the program in the cache, built first if it is not there.
pub(super) fn cached_or_built(name: &str, program: &GoProgram) -> Result<PathBuf> {
    let path = cached_path(name, program)?;
    if path.is_file() {
        return Ok(path);
    }
    check_go(name, program.module, program.in_assets)?;
    let folder = path.parent().context("a cached program has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let _lock = cache::lock(name)?;
    // Another process may have built it while this one waited.
    if !path.is_file() {
        build(name, program, &path)?;
    }
    Ok(path)
}

/// Whether the program has been built before.
pub(super) fn is_cached(name: &str, program: &GoProgram) -> Result<bool> {
    Ok(cached_path(name, program)?.is_file())
}

/// Fails when there is no Go, or one too old for the module.
pub(super) fn check_go(name: &str, module: &Module, in_assets: bool) -> Result<()> {
    let module = module.read()?;
    let needed = module
        .go_version()
        .with_context(|| format!("{} names no Go version", module.folder.display()))?;
    let advice = format!(
        "to get {name} takes Go {needed} or newer: install it from https://go.dev/dl/{}",
        if in_assets {
            format!(", or name a folder that has {name} in {ASSETS}")
        } else {
            String::new()
        }
    );
    // Asked in the module's folder, where Go may pick a newer toolchain by itself.
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(&module.folder)
        .output()
        .map_err(|error| anyhow!("go cannot be run ({error}); {advice}"))?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{reason}; {advice}");
    }
    if numbers(&found) < numbers(needed) {
        bail!("the Go here is {found}; {advice}");
    }
    Ok(())
}

fn build(name: &str, program: &GoProgram, path: &Path) -> Result<()> {
    let module = program.module.read()?;
    let unfinished = path.with_extension("unfinished");
    let log = path.with_extension("log");
    // What is counted and shown is this build's alone.
    let _ = fs::remove_file(&log);
    let mut command = Command::new("go");
    command
        .current_dir(&module.folder)
        .env("CGO_ENABLED", "0")
        .args(["build", "-v", "-trimpath", "-ldflags", &module.link_flags()])
        .arg("-o")
        .arg(&unfinished)
        .arg(program.package);

    let mut progress = Progress::start(name, program.package, program.first_build, path);
    let status = run_to_end("go build", &command, &log, |elapsed| {
        progress.tick(elapsed, || compiled_packages(&log));
        Ok(())
    })?;
    if !status.success() {
        progress.fail();
        bail!("building {name} failed ({status}):\n{}", last_lines(&log, 30));
    }
    fs::rename(&unfinished, path).with_context(|| format!("naming {}", path.display()))?;
    progress.finish(compiled_packages(&log));
    Ok(())
}

/// `go build -v` writes a line per compiled package; what else it says has spaces.
fn compiled_packages(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| !line.contains(' ')).count()
}

/// `…/tools/MODULE-HASH/NAME`, where the hash covers all that goes into a build: so an upgrade or
/// an edit builds anew, and going back finds the old program.
fn cached_path(name: &str, program: &GoProgram) -> Result<PathBuf> {
    let module = program.module.read()?;
    let sources = own_sources(&module.folder, program.package)?;
    let folder = format!("{}-{}", program.module.folder, module.hash(&sources));
    Ok(cache::tools()?.join(folder).join(name))
}

/// The Go files of a package that is the module's own, in the order of their names; nothing for one
/// of a dependency, which go.sum covers.
fn own_sources(module: &Path, package: &str) -> Result<Vec<String>> {
    let Some(name) = package.strip_prefix("./") else { return Ok(Vec::new()) };
    let folder = module.join(name);
    let failed = || format!("reading {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "go") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).with_context(failed)).collect()
}

/// What the files of a module say.
struct ModuleFiles {
    folder: PathBuf,
    go_mod: String,
    go_sum: String,
    main: &'static str,
    stamped: bool,
}

impl Module {
    fn read(&self) -> Result<ModuleFiles> {
        let folder = self.path();
        let read = |name| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        Ok(ModuleFiles {
            go_mod: read("go.mod")?,
            go_sum: read("go.sum")?,
            folder,
            main: self.main,
            stamped: self.stamped,
        })
    }
}

impl ModuleFiles {
    /// The word after `key` on the first line that begins with it.
    fn word_after(&self, key: &str) -> Option<&str> {
        self.go_mod.lines().find_map(|line| {
            let line = line.trim().trim_start_matches("require ");
            let mut words = line.split_whitespace();
            (words.next() == Some(key)).then(|| words.next())?
        })
    }

    fn go_version(&self) -> Option<&str> {
        self.word_after("go")
    }

    /// The version of the module's programs, such as `v1.37.2`.
    fn version(&self) -> &str {
        self.word_after(self.main).unwrap_or("of unknown version")
    }

    fn link_flags(&self) -> String {
        if !self.stamped {
            return "-s -w".to_owned();
        }
        let version = self.version();
        let [major, minor, _] = numbers(version);
        let package = "k8s.io/component-base/version";
        format!(
            "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} \
             -X {package}.gitMinor={minor}"
        )
    }

    fn hash(&self, sources: &[String]) -> String {
        use std::env::consts::{ARCH, OS};
        let link_flags = self.link_flags();
        let of_module = [&*self.go_mod, &*self.go_sum, &*link_flags, OS, ARCH];
        cache::hash(of_module.into_iter().chain(sources.iter().map(String::as_str)))
    }
}

/// The first three numbers of a version such as `go1.26.8` or `v1.37.2`; zero where it has fewer.
fn numbers(version: &str) -> [u32; 3] {
    let mut found = version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| found.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::recipes::{CONTAINERD, HELM, KUBERNETES, PROMETHEUS_OPERATOR};

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("go1.9.7") < numbers("1.26.0"));
        assert!(numbers("go1.26.8") > numbers("1.26.0"));
        assert_eq!(numbers("v1.37.2"), [1, 37, 2]);
        assert_eq!(numbers("1.26"), [1, 26, 0]);
    }

    #[test]
    fn the_version_in_go_mod_is_linked_in() {
        let module = ModuleFiles {
            folder: PathBuf::new(),
            go_mod: "go 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.37.2\n)\n".to_owned(),
            go_sum: String::new(),
            main: KUBERNETES.main,
            stamped: KUBERNETES.stamped,
        };
        assert_eq!(
            module.link_flags(),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2 \
             -X k8s.io/component-base/version.gitMajor=1 \
             -X k8s.io/component-base/version.gitMinor=37"
        );
    }

    #[test]
    fn an_edit_of_a_program_of_ours_builds_it_anew_and_no_other() {
        let module = KUBERNETES.read().unwrap();
        let sources = own_sources(&module.folder, "./keyring").unwrap();
        let edited = [sources.concat() + "// edited"];
        assert_ne!(module.hash(&sources), module.hash(&edited));
        assert_ne!(module.hash(&sources), module.hash(&[]));
        assert!(own_sources(&module.folder, "k8s.io/kubernetes/cmd/kubelet").unwrap().is_empty());
    }

    #[test]
    fn each_module_names_its_go_and_its_main_version() {
        for module in [KUBERNETES, HELM, CONTAINERD, PROMETHEUS_OPERATOR] {
            let module = module.read().unwrap();
            assert!(numbers(module.go_version().unwrap()) >= [1, 21, 0]);
            assert!(module.version().starts_with('v'), "{}", module.version());
        }
    }
}
