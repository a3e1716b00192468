//! The resource usage of a process, by Linux.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};

/// The unit of the times in `/proc/PID/stat`: the kernel gives them to programs in hundredths of a
/// second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// The processor time so far, its own and the kernel's for it.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("its CPU time")?;
    cpu_in(&stat).context("its CPU time is not where it should be")
}

/// The processor time so far of all threads that still run, exact to the nanosecond.
pub(crate) fn exact_cpu(pid: u32) -> Result<Duration> {
    let (mut nanoseconds, mut threads) = (0, 0);
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("its threads")? {
        // A thread that has ended meanwhile has no entry.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let time = text.split_whitespace().next().context("its CPU time is not there")?;
        nanoseconds += time.parse::<u64>()?;
        threads += 1;
    }
    ensure!(threads > 0, "none of its threads has a CPU time");
    Ok(Duration::from_nanos(nanoseconds))
}

/// What of it is in memory now, and what was at the most, in bytes.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("its memory")?;
    let bytes = |key| bytes_in(&status, key).with_context(|| format!("there is no {key}"));
    Ok(Memory { resident: bytes("VmRSS:")?, peak: bytes("VmHWM:")?, anonymous: bytes("RssAnon:")? })
}

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: usize,
    pub(crate) peak: usize,
    /// What of the resident is its data, and not pages of its binary.
    pub(crate) anonymous: usize,
}

fn cpu_in(stat: &str) -> Option<Duration> {
    // The name in brackets may have anything in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some(TICK * (user + system))
}

fn bytes_in(status: &str, key: &str) -> Option<usize> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_count_whatever_the_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(cpu_in(stat), Some(Duration::from_millis(1750)));
    }

    #[test]
    fn memory_is_in_kilobytes() {
        let status = "VmPeak:\t 9 kB\nVmHWM:\t   16 kB\nVmRSS:\t    8 kB\n";
        assert_eq!(bytes_in(status, "VmHWM:"), Some(16384));
        assert_eq!(bytes_in(status, "VmRSS:"), Some(8192));
    }

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.peak >= memory.resident && memory.resident > 0);
        cpu(pid).unwrap();
        exact_cpu(pid).unwrap();
    }
}
