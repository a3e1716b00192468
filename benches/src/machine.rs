//! What the benchmark ran on.

use std::{fmt, fs};

use serde::Serialize;

/// A machine, as Linux describes it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    /// In gibibytes.
    memory: usize,
    kernel: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let kilobytes = value(&read("/proc/meminfo"), "MemTotal")
            .and_then(|memory| memory.split_whitespace().next()?.parse::<usize>().ok());
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "?".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory: kilobytes.unwrap_or(0).div_ceil(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory, kernel } = self;
        write!(formatter, "{cores} cores of {cpu}, {memory} GiB, Linux {kernel}")
    }
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start().strip_prefix(':')?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_keys() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n";
        assert_eq!(value(text, "model name").unwrap(), "A CPU @ 2 GHz");
        assert_eq!(value(text, "model"), None);
    }
}
